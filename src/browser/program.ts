import { inspectModel } from '../core.js';
import { bytesText } from '../report/units.js';
import { countText, plural } from '../wire/counted.js';
import { escapeText } from '../report/escape.js';
import { shapeText } from '../report/shapes.js';
import { namedChoice } from './choices.js';
import { CutPanel } from './cut.js';
import { byId, element } from './dom.js';
import { featureLists, moduleTree } from './lists.js';
import { say, showProblem } from './messages.js';
import { openFiles, type ChosenModel } from './model.js';
import { RunPanel } from './run.js';

/** The program of the page of `featx page`. */

/** Models that were asked for: only the last one is shown. */
let asked = 0;

/** Shows a model once it is open. */
export async function open(name: string, opening: () => Promise<ChosenModel>): Promise<void> {
  const mine = ++asked;
  showProblem(null);
  byId('model').hidden = true;
  say(`Reading ${escapeText(name)}…`);
  try {
    const chosen = await opening();
    if (mine === asked) show(chosen);
  } catch (error) {
    if (mine === asked) showProblem(error);
  }
}

function show(chosen: ChosenModel): void {
  const { report, openedIn, name } = chosen;
  const runs = new RunPanel(chosen);
  const cut = new CutPanel(chosen, (planned) => runs.planned(planned));
  const toggle = cut.toggle.bind(cut);
  byId('name').textContent = escapeText(name);
  byId('facts').replaceChildren(...factsOf(chosen));
  byId('warnings').replaceChildren(...report.warnings.map((warning) => element('li', {}, escapeText(warning))));
  byId('features').replaceChildren(...featureLists(report, toggle));
  showModules(chosen, cut);
  const named = byId('named');
  named.onsubmit = (event) => {
    event.preventDefault();
    const text = byId('tensor');
    if (!(text instanceof HTMLInputElement) || text.value === '') return;
    if (!cut.isTaken(`tensor ${text.value}`)) toggle(namedChoice('tensor', text.value));
    text.value = '';
  };
  byId('model').hidden = false;
  const groups = report.groups.length === 0 ? '' : `, ${plural(report.groups.length, 'group')}`;
  say(
    `${escapeText(name)}: ${plural(report.feature_info.length, 'feature')}${groups}, found in ${Math.round(openedIn)} ms.`,
  );
}

function factsOf({ report: { model, inputs, outputs } }: ChosenModel): readonly HTMLElement[] {
  const opsets = Object.entries(model.opset_imports).map(
    ([domain, version]) => `${domain === '' ? 'ai.onnx' : domain} ${version}`,
  );
  const values = (records: typeof inputs): string =>
    records.map(({ name, dtype, shape }) => `${name}: ${dtype ?? '?'} ${shapeText(shape)}`).join(', ');
  return Object.entries({
    size: bytesText(model.size_bytes),
    weights: `${bytesText(model.weights_bytes)} in ${plural(model.initializers, 'initializer')}${model.external_data.length === 0 ? '' : `, beside it: ${model.external_data.join(', ')}`}`,
    nodes: countText(model.nodes),
    opset: opsets.join(', '),
    producer: model.producer,
    inputs: values(inputs),
    outputs: values(outputs),
  })
    .filter(([, value]) => value !== '')
    .flatMap(([title, value]) => [element('dt', {}, title), element('dd', {}, escapeText(value))]);
}

/** Models whose tree was asked for: only that of the last is shown. */
let treesAsked = 0;

/** The tree of modules is made when it is opened: a large one takes a while. */
function showModules({ model, name }: ChosenModel, cut: CutPanel): void {
  const tree = byId('tree');
  const mine = (treesAsked += 1);
  const details = byId('modules');
  details.removeAttribute('open');
  tree.replaceChildren();
  details.ontoggle = () => {
    if (!details.hasAttribute('open') || tree.hasChildNodes()) return;
    tree.textContent = 'Reading…';
    inspectModel(model, { name, listModules: true }).then(
      ({ modules = [] }) => {
        if (mine !== treesAsked) return;
        tree.replaceChildren(
          modules.length === 0
            ? 'Nothing in this graph names modules.'
            : moduleTree(modules, cut.toggle.bind(cut), (key) => cut.isTaken(key)),
        );
      },
      (error: unknown) => {
        if (mine !== treesAsked) return;
        tree.replaceChildren();
        showProblem(error);
      },
    );
  };
}

function openDropped(files: readonly File[]): void {
  if (files.length > 0) void open(files[0].name, () => openFiles(files));
}

const input = byId('file');
input.addEventListener('change', () => {
  if (!(input instanceof HTMLInputElement)) return;
  const files = [...(input.files ?? [])];
  // The same file may be chosen again after it has changed.
  input.value = '';
  openDropped(files);
});
const drop = byId('drop');
for (const name of ['dragover', 'dragleave', 'drop'])
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle('over', name === 'dragover');
    if (name === 'drop' && event instanceof DragEvent) openDropped([...(event.dataTransfer?.files ?? [])]);
  });
