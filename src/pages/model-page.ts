import { escapeHtml } from '../report/escape.js';
import { VERSION } from '../version.js';
import { pageHtml } from './shell.js';

/** What a page of features may do. */
export interface ModelPageOptions {
  /** Origins that it may read models from; without one it cannot send or fetch anything. */
  readonly connect: readonly string[];
}

/**
 * The page that finds and cuts features in a browser: one file, with all of the program.
 * @param program its script, as `src/browser/` is bundled
 */
export function modelPage(program: string, { connect }: ModelPageOptions): string {
  return pageHtml({
    title: 'featx: features of an ONNX model',
    body: `${headHtml(connect)}${MODEL_HTML}`,
    script: program,
    // What runs a cut is a program that the visitor chooses, and WebAssembly.
    policy: {
      'script-src': "blob: 'wasm-unsafe-eval'",
      'img-src': 'blob:',
      'connect-src': connect.length === 0 ? "'none'" : connect.join(' '),
    },
    style: STYLE,
  });
}

function headHtml(connect: readonly string[]): string {
  const promise =
    connect.length === 0
      ? 'What you choose stays on this machine: this page is not allowed to send or fetch anything.'
      : `What you choose stays on this machine. This page may fetch from ${connect.map(escapeHtml).join(', ')}, and from nowhere else.`;
  return `<header><h1>Features of an ONNX model</h1>
<p class="soft">featx ${VERSION}. ${promise}</p></header>
<label class="drop" id="drop"><strong>Drop a model here, or choose one</strong>
<span class="soft">an .onnx file of any size, together with the files of its weights if it has such</span>
<input type="file" id="file" multiple></label>
${connect.length === 0 ? '' : '<form id="address" class="line"><label>or open a URL <input type="text" inputmode="url" id="url" placeholder="https:// or hf://owner/repository/model.onnx" spellcheck="false"></label><button>Open</button></form>\n'}<p id="status" role="status"></p>
<div id="problem" role="alert"></div>
`;
}

const MODEL_HTML = `<section id="model" aria-labelledby="name" hidden>
<h2 id="name"></h2>
<dl id="facts"></dl>
<ul id="warnings" class="warning"></ul>
<div id="features"></div>
<details id="modules"><summary>Modules</summary><div id="tree"></div></details>
<form id="named" class="line"><label>a tensor by name or glob <input type="text" id="tensor" spellcheck="false" autocapitalize="off"></label><button>Take it</button></form>
<section id="cut" aria-labelledby="cut-title" hidden>
<h2 id="cut-title">The cut</h2>
<ol id="outputs"></ol>
<div id="settings">
<fieldset><legend>What it is</legend>
<label><input type="radio" name="mode" value="dict" checked> the features alone, named by index</label>
<label><input type="radio" name="mode" value="list"> the features alone, named as their tensors</label>
<label><input type="radio" name="mode" value="hook"> the whole model, the features added to its outputs</label></fieldset>
<fieldset><legend>Its weights</legend>
<label><input type="radio" name="weights" value="keep" checked> with it</label>
<label><input type="radio" name="weights" value="reference"> in the file of the model</label></fieldset>
</div>
<p><output id="size" aria-label="size of the cut"></output> <span id="kept" class="soft"></span></p>
<p id="beside" class="soft" hidden>Put it into the folder of the model: it has no weights of its own.</p>
<ul id="cut-warnings" class="warning"></ul>
<p><button id="save" type="button" disabled>Save</button></p>
<p class="soft">The same on a command line: <code id="command"></code></p>
</section>
<section id="run" aria-labelledby="run-title" hidden>
<h2 id="run-title">Run it on a picture</h2>
<form id="run-form">
<label><span>ONNX Runtime Web: <code>ort.wasm.bundle.min.mjs</code> and <code>ort-wasm-simd-threaded.wasm</code>, from <code>dist</code> of the package onnxruntime-web</span> <input type="file" id="runtime" multiple accept=".mjs,.wasm"></label>
<label>a picture <input type="file" id="picture" accept="image/*"></label>
<label>prepared as <select id="how"></select></label>
<button>Run</button>
</form>
<div id="figures"></div>
</section>
</section>
`;

const STYLE = `
[hidden] { display: none !important; }
.drop { display: grid; gap: .2rem; justify-items: start; padding: 1.2rem; border: 2px dashed var(--soft); border-radius: 8px; cursor: pointer; }
.drop.over, .drop:focus-within { border-color: var(--bar); background: #8881; }
input[type="file"] { max-width: 100%; font: inherit; }
input[type="text"] { font: inherit; padding: .25rem .4rem; min-width: 0; max-width: 100%; }
.line input[type="text"] { width: min(28rem, 100%); }
button { font: inherit; padding: .25rem .8rem; cursor: pointer; }
#save { font-weight: 600; padding: .4rem 1.2rem; }
.line, #run-form { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end; margin: 1rem 0; }
.line label, #run-form label { display: grid; gap: .2rem; min-width: 0; max-width: 100%; }
#run-form { flex-direction: column; align-items: start; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem .8rem; margin: .5rem 0; }
dt { color: var(--soft); } dd { margin: 0; max-height: 6rem; overflow-y: auto; }
details { margin: 1rem 0; } summary { cursor: pointer; font-weight: 600; }
.tree { list-style: none; padding-left: 1rem; margin: .2rem 0; } .tree details { margin: 0; } .tree summary { font-weight: 400; color: var(--soft); font-size: .82rem; }
.module { padding: .1rem 0; display: flex; flex-wrap: wrap; gap: .4rem; align-items: baseline; } .module input { margin: 0; }
#outputs { padding-left: 1.4rem; } #outputs li { margin: .35rem 0; } #outputs .taken { display: inline-block; min-width: 12rem; margin-right: .6rem; }
#outputs button { padding: .1rem .55rem; margin-left: .3rem; }
fieldset { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; }
output { font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
canvas.photo { max-width: 22rem; image-rendering: auto; }
#command { user-select: all; }
`;
