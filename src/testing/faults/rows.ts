/** A test that answers a row, by its file and the name that stands there. */
export interface Reference {
  readonly file: string;
  readonly test: string;
}

/** A fault, what featx does about it, and the tests beside the cases of this folder that show it. */
export interface FaultRow {
  readonly input: string;
  readonly answer: string;
  readonly elsewhere?: readonly Reference[];
}

export interface FaultSection {
  readonly title: string;
  /** Number of its first row. */
  readonly first: number;
  readonly rows: readonly FaultRow[];
}

const at = (file: string, ...tests: readonly string[]): readonly Reference[] =>
  tests.map((test) => ({ file: `src/${file}.test.ts`, test }));

/** Inputs that are to use up time or memory: each within a second and 80 MiB. */
const bombs = (...names: readonly string[]): readonly Reference[] =>
  names.map((test) => ({ file: 'src/testing/bombs.ts', test }));

const WIRE: FaultSection = {
  title: 'The wire',
  first: 1,
  rows: [
    {
      input: 'A file that is cut anywhere',
      answer: 'an error with the offset; where the cut leaves a message, one about what is missing',
      elsewhere: at(
        'onnx/truncation',
        'cuts and flips of 120 small models are located errors, or mean what the second decoder finds',
        'so are cuts and flips at the field boundaries of real graphs',
      ),
    },
    {
      input: 'Another kind of file',
      answer: 'an error that names the kind and what to do',
      elsewhere: at('onnx/file-kind', 'a model made by %s is a model', 'bytes without a path are called the model'),
    },
    {
      input: 'Numbers longer than 64 bits',
      answer: 'an error',
      elsewhere: at('wire/fields', 'an eleventh byte, and a tenth above 1, are refused with their offset'),
    },
    {
      input: 'Needlessly long numbers and lengths',
      answer: 'read, and copied as they are',
      elsewhere: at(
        'wire/fields',
        'needless bytes change nothing, up to 10',
        'five bytes for a small length are accepted, six are not',
      ),
    },
    { input: 'Long tags, field number 0', answer: 'an error', elsewhere: at('wire/fields', 'number and wire type') },
    {
      input: 'Lengths beyond the message they stand in',
      answer: 'an error, before any memory is taken',
      elsewhere: at(
        'wire/fields',
        'must fit into what is left of their message',
        '%s in a short message is refused without a buffer for it',
      ),
    },
    { input: 'Wire types 6 and 7', answer: 'an error' },
    { input: 'Groups that do not match', answer: 'an error; groups that do are copied' },
    {
      input: 'A million groups, 20,000 messages inside each other',
      answer: 'refused at the limit, without recursion',
      elsewhere: [
        ...at(
          'onnx/hostile',
          'a million groups inside each other are refused at the 101st',
          '100 groups are fine, 101 are not',
        ),
        ...bombs('a million groups inside each other', '20,000 submessages inside each other'),
      ],
    },
    {
      input: 'Bodies and types inside each other',
      answer: 'refused at the limit; the limit has a flag',
      elsewhere: at(
        'onnx/hostile',
        '33 bodies inside each other are read, and so are 32 with something in the last',
        'the limit can be raised',
        'types inside types',
      ),
    },
    {
      input: 'A message in several parts, a scalar several times',
      answer: 'merged as protobuf merges; a scalar that stands twice is said',
      elsewhere: at(
        'onnx/model',
        'scalars: the last wins, and that is said',
        'raw_data: the last wins; typed values are one list',
        'a graph of training_info in two parts, the algorithm first',
      ),
    },
    {
      input: 'A known field of another wire type',
      answer: 'unknown, and copied; lists may be packed or not',
      elsewhere: at('onnx/model', 'they change nothing and stay in the list of fields', 'in tensors and attributes'),
    },
    {
      input: 'Several members of a oneof',
      answer: 'the last one counts; the same one merges',
      elsewhere: at('onnx/model', 'a oneof: the same member merges, another replaces'),
    },
    { input: 'Bytes behind the model', answer: 'an error; two models are one graph, with every tensor twice' },
    {
      input: 'Fields in any order',
      answer: 'read; the order is kept',
      elsewhere: at('onnx/model', 'of the fixtures, in any style'),
    },
    {
      input: 'Integers beyond 2^53',
      answer: 'exact, or an error; never rounded',
      elsewhere: at(
        'onnx/model',
        'attributes are exact beyond 2^53',
        'a dimension of a tensor beyond 2^53 is an error, of a value unknown',
      ),
    },
    {
      input: 'A change that makes the lengths around it longer',
      answer: 'every length follows',
      elsewhere: [
        ...at('onnx/patch', 'patches at several depths at once: every length around them follows'),
        ...at('rewrite/properties', 'any cut computes what the whole model computes'),
      ],
    },
    {
      input: 'A result above 2^31 - 1 bytes',
      answer: 'refused before it is written',
      elsewhere: at('extract', 'a result above 2^31-1 bytes is refused before it is written, with the remedy'),
    },
    {
      input: 'A model over 2 GiB and over 4 GiB',
      answer: 'inspected without reading the weights',
      elsewhere: [
        ...at('onnx/payloads', 'a file over 4 GiB: offsets stay exact'),
        ...at('wire/file-source', 'goes on after short reads and interrupted ones'),
      ],
    },
  ],
};

const GRAPH: FaultSection = {
  title: 'The graph',
  first: 20,
  rows: [
    { input: 'An initializer twice', answer: 'an error that names both' },
    {
      input: 'A cycle',
      answer: 'an error that shows it',
      elsewhere: at('onnx/graph', 'a ring of 10,000 nodes is found in one walk'),
    },
    {
      input: 'A tensor that nothing makes',
      answer: 'an error, before ONNX Runtime sees the file',
      elsewhere: at('onnx/graph', 'every missing tensor is counted, five are named'),
    },
    { input: 'A tensor that is made twice', answer: 'an error that names both makers' },
    {
      input: 'Nodes out of order',
      answer: 'accepted with a warning; the order is kept',
      elsewhere: at('rewrite/cases', 'nodes out of order keep their order, with a warning'),
    },
    {
      input: 'Functions that call themselves, long chains of calls',
      answer: 'an error that shows the ring; a chain is refused at the limit',
      elsewhere: [
        ...at(
          'onnx/functions',
          'a chain of 101 calls',
          'overloads that call each other, and diamonds, are no recursion',
        ),
        ...bombs('a ring of 10,000 calls', 'a chain of 10,000 calls'),
      ],
    },
    {
      input: 'Calls that expand without end',
      answer: 'counted, never expanded; refused at the limit',
      elsewhere: [
        ...at(
          'onnx/functions',
          '2^2,000 expansions',
          'every node is visited once: ten times the calls take not much more than ten times the steps',
        ),
        ...bombs('20 functions that call the next 100 times', '100,000 functions'),
      ],
    },
    {
      input: 'Bodies that would be walked again and again',
      answer: 'each is walked once',
      elsewhere: at(
        'onnx/graph',
        'thirty levels of If: every body is walked once',
        'several bodies of one attribute count, and every body is walked once',
      ),
    },
    {
      input: 'A feature that is an output already',
      answer: 'stays one output',
      elsewhere: at('rewrite/cases', 'a tensor that is an output already stays one output in hook mode'),
    },
    {
      input: 'A feature that is an input or an initializer',
      answer: 'leaves through an Identity',
      elsewhere: at('rewrite/cases', 'leave through an Identity with a name of its own (%s)'),
    },
    {
      input: 'A feature without a name',
      answer: 'a usage error',
      elsewhere: at('rewrite/cases', 'an omitted output is no tensor'),
    },
    {
      input: 'A feature that is no tensor',
      answer: 'leaves with its type, or the error says why it cannot',
      elsewhere: at('rewrite/cases', 'sequences, optionals and maps keep their types'),
    },
    {
      input: 'A feature inside a body or a function',
      answer: 'leaves by a further output of every node around it; what cannot leave is an error that says why',
      elsewhere: [
        ...at('rewrite/expose', 'what cannot leave says why', 'a branch inside a loop, inside out'),
        ...at('rewrite/cases', 'never becomes a dangling output'),
      ],
    },
    {
      input: 'A name in several scopes',
      answer: 'the graph before its bodies; several bodies are listed',
      elsewhere: at('rewrite/cases', '3: a name in a body is not the later one of the main graph'),
    },
    {
      input: 'A new name that is taken in any scope',
      answer: 'another one with a warning; a name that was asked for is a usage error',
      elsewhere: at('rewrite/plan', 'names in bodies are taken, and bodies are never renamed'),
    },
    {
      input: 'An output of unknown type',
      answer: 'inferred, else left open with a warning; never guessed',
      elsewhere: at(
        'rewrite/cases',
        'without evidence only the name is written, and said',
        'an unknown rank is left out, a scalar has an empty shape, symbols and unknown dims stay',
      ),
    },
    {
      input: 'What looks unused and is not',
      answer: 'stays',
      elsewhere: [
        ...at('rewrite/properties', 'any cut is a valid graph of exactly what its outputs need'),
        ...at(
          'rewrite/cases',
          'what a body hands out without reading it in a node is kept',
          'annotations of what stays keep the scales and zero points they name',
          'training_info is dropped with a warning, and kept by hooks',
        ),
      ],
    },
    {
      input: 'A selection of nothing',
      answer: 'a usage error with the nearest names; nothing is written',
      elsewhere: at('rewrite/plan-edits', 'nothing selected is refused'),
    },
    {
      input: 'Unknown operators, operator sets, IR versions',
      answer: 'cut with a warning; a run says what ONNX Runtime lacks',
      elsewhere: [
        ...at('runtime/types', 'a custom operator: what stands behind it is unknown, the rest is answered'),
        ...at('onnx/notes', 'versions up to the newest are known', 'others are named by domain, wherever they stand'),
      ],
    },
    {
      input: 'Metadata that is double, huge or hostile',
      answer: 'kept as it is, shown escaped',
      elsewhere: at('rewrite/cases', 'names with anything in them come back as they are'),
    },
  ],
};

const TENSORS: FaultSection = {
  title: 'Tensors and external data',
  first: 40,
  rows: [
    {
      input: 'Dims without end',
      answer: 'an error; no memory is taken for a claim',
      elsewhere: [
        ...at('onnx/tensor-data', 'dims whose product is no number', 'a claim of 1 TiB over 64 bytes'),
        ...at('tensors/tensor-proto', 'a claim of a terabyte is over a limit and allocates nothing'),
      ],
    },
    {
      input: 'Dims that do not fit the values',
      answer: 'an error in every command; no elements are fine',
      elsewhere: at('onnx/tensor-data', 'values in two fields'),
    },
    {
      input: 'Packed halves and quarters of bytes, strings',
      answer: 'exactly as many bytes as the format says',
      elsewhere: at('onnx/types', 'sizes: sub-byte types are rounded up, strings and unknown types have none'),
    },
    {
      input: 'A location that climbs out',
      answer: 'refused; inspected with a warning',
      elsewhere: at(
        'onnx/external-places',
        'no location leads to a file outside of the model, whichever tensor names it',
        'the same locations get past a check of the path alone',
      ),
    },
    {
      input: 'A location that climbs and comes back',
      answer: 'accepted',
      elsewhere: at('onnx/external-places', '%j is a place in the directory of the model'),
    },
    {
      input: 'Absolute paths, drives, URLs, backslashes',
      answer: 'refused on every system',
      elsewhere: at('onnx/external-data', 'what posix or Windows resolve elsewhere is refused'),
    },
    {
      input: 'Device names, trailing dots, streams',
      answer: 'refused on every system',
      elsewhere: at(
        'onnx/external-data',
        'what the gate lets through lies inside by the rules of posix and of Windows',
      ),
    },
    {
      input: 'NUL, nothing, thousands of letters',
      answer: 'refused',
      elsewhere: at(
        'onnx/external-data',
        'a name that is not UTF-8 is refused',
        'a value of 4,096 characters is let through',
      ),
    },
    {
      input: 'Links out of the folder',
      answer: 'refused by the real path',
      elsewhere: at('wire/sidecar-files', 'one that was swapped for another is refused'),
    },
    {
      input: 'Links inside the folder or a cache',
      answer: 'accepted',
      elsewhere: at(
        'wire/sidecar-files',
        'a model that is a link finds its weights beside itself and beside what it links to, and nowhere else',
      ),
    },
    {
      input: 'A file of several names',
      answer: 'read with a warning, refused under --strict-external, never written to',
      elsewhere: [
        ...at('wire/sidecar-files', 'are read with a warning, and refused where asked'),
        ...at('wire/sink', 'other names of a file that is replaced keep its old content'),
      ],
    },
    {
      input: 'Folders, pipes, devices, sockets',
      answer: 'refused at once',
      elsewhere: at('wire/sidecar-files', 'a pipe that nobody writes to, also under another name', 'a socket'),
    },
    {
      input: 'Offsets and lengths that are no byte counts',
      answer: 'refused',
      elsewhere: at('onnx/external-data', 'offset and length are optional'),
    },
    {
      input: 'Offsets and lengths that do not fit',
      answer: 'an error that says what was asked for and what is there',
      elsewhere: at('onnx/external-data', 'as many bytes as there are if the dims do not say how many it takes'),
    },
    {
      input: 'Ranges that overlap',
      answer: 'the same range is shared; overlaps in part are said; no byte is written twice',
      elsewhere: at(
        'rewrite/weights',
        'bytes that tensors share are written once, and an overlap is said',
        'many tensors over one range do not make a file larger than the range',
        'ranges that overlap anyhow are found again in the sidecar',
      ),
    },
    {
      input: 'A file that is missing',
      answer: 'an error with file and tensor where it is needed; a warning where it is not',
      elsewhere: at(
        'extract',
        'takes only the slices that a cut elsewhere needs, and needs not exist for a cut beside the model',
      ),
    },
    {
      input: 'Strange keys',
      answer: 'double ones are refused, unknown ones ignored with a warning',
      elsewhere: at('onnx/external-data', 'an unknown key is ignored and said'),
    },
    { input: 'A memory address as a location', answer: 'refused' },
    {
      input: 'External data in forgotten places',
      answer: 'one gate for every tensor; the runtime opens nothing else',
      elsewhere: [
        ...at(
          'onnx/external-places',
          'a cut of such a model is refused, and looks at nothing but the model and its directory',
        ),
        ...at('runtime/external', 'the runtime opens no file that did not pass the gate'),
      ],
    },
    {
      input: 'Weights written over something else',
      answer: 'a sidecar is named after its content; what the model uses is never replaced',
      elsewhere: at('extract', 'is named after its content', 'that the model uses is never replaced, in place neither'),
    },
    {
      input: 'Arrays as input',
      answer: 'no objects, no claims, no bombs',
      elsewhere: [
        ...at('tensors/npy', 'a header longer than numpy writes is over a limit before it is read'),
        ...at(
          'tensors/npz',
          'a bomb is refused before anything is inflated',
          'an entry that inflates to more or less than it claims is an error',
        ),
        ...bombs('a .npy of 8 TiB in 128 bytes', 'a picture of 60,000 x 60,000'),
      ],
    },
  ],
};

const NAMES: FaultSection = {
  title: 'Names, text, patterns',
  first: 61,
  rows: [
    {
      input: 'Names that are not UTF-8',
      answer: 'names are bytes: told apart, copied, shown as \\xNN',
      elsewhere: [
        ...at('wire/text', 'any bytes come back exactly', 'equal strings are equal bytes'),
        ...at('rewrite/cases', 'names that differ in a byte that is not UTF-8 are two'),
        ...at('names', 'the index holds them exactly', 'a cut has them as its outputs, and runs'),
      ],
    },
    {
      input: 'Look-alikes, letters that turn the line',
      answer: 'distinct; shown escaped',
      elsewhere: at('report/escape', 'no character of any plane that a terminal acts on comes through'),
    },
    {
      input: 'Names that JavaScript knows',
      answer: 'names like any other',
      elsewhere: [
        ...at('onnx/graph', 'names that JavaScript knows are names'),
        ...at('tensors/safetensors', 'names of the prototype are names'),
        ...at('runtime/open-session', 'names that JavaScript or the binding would garble'),
        ...at('names', 'there are a thousand, distinct as bytes, and ordinary tools lose some'),
      ],
    },
    {
      input: 'Control characters',
      answer: 'escaped on every way out, terminal or not',
      elsewhere: [
        ...at('report/escape', 'is one line of printable text that parses to the same data'),
        ...at('wire/text', 'foreign text cannot steer a terminal'),
        ...at('runtime/child', 'that crashes is named with its signal and its last words, made safe'),
        ...at('names', 'text and errors about them show nothing raw'),
      ],
    },
    {
      input: 'Markup',
      answer: 'escaped',
      elsewhere: at('report/escape', 'escapeHtml leaves nothing that ends an element or a quoted attribute'),
    },
    {
      input: 'Formulas and commands of CI logs',
      answer: 'defused',
      elsewhere: [
        ...at('report/table', '%s is no formula', 'control characters are made visible'),
        ...at('report/escape', '%j is no command of a CI log'),
      ],
    },
    {
      input: 'Patterns that take for ever',
      answer: 'matched in linear time, names and files alike; braces have a limit',
      elsewhere: [
        ...at('features/glob', 'a pattern of many stars takes no exponential time'),
        ...at(
          'wire/path-glob',
          'many stars cost no more than the lengths',
          'braces that stand for too much are refused before they take memory',
        ),
        ...at('wire/find-files', 'many ** in a row look into each directory a few times, not once for every way there'),
      ],
    },
    {
      input: 'Many patterns, many names',
      answer: 'matched together',
      elsewhere: [
        ...at('features/glob', 'a million names and a thousand patterns'),
        ...bombs('a glob for everything 2,000 times', '30,000 names that nobody has'),
      ],
    },
    {
      input: 'Names as file names',
      answer: 'encoded, and kept apart',
      elsewhere: [
        ...at(
          'tensors/values',
          'file names hold no separator, device, dot file or control character, and stay distinct',
        ),
        ...at(
          'tensors/writer',
          'a directory gets one TensorProto per feature, its name inside and percent-encoded outside',
        ),
        ...at('names', 'writes a .pb each under a name that any system takes, which says whose it is'),
      ],
    },
  ],
};

const FILES: FaultSection = {
  title: 'Files, processes, devices',
  first: 70,
  rows: [
    {
      input: 'An output that is the input',
      answer: 'refused by what it is, not by how it is spelt',
      elsewhere: [
        ...at('wire/sink', 'an input under any of its names is refused, and replaced where asked'),
        ...at('extract', 'only where asked'),
      ],
    },
    {
      input: 'An output that is a link',
      answer: 'refused without --follow',
      elsewhere: at('wire/sink', 'a link is refused, and followed where asked'),
    },
    {
      input: 'A full disk',
      answer: 'an input/output error; the old output stays, no temporary file does',
      elsewhere: [
        ...at('fs-faults', 'whatever call fails, the files are the old ones or the new ones (and from then on: %s)'),
        ...at('wire/sink', 'the target is old or new, and nothing is left (the fault persists: %s)'),
        ...at('cli/full-disk', 'a file that may not grow any further: the same'),
      ],
    },
    {
      input: 'A device that fails',
      answer: 'an input/output error; a failed sync is never a success',
      elsewhere: [
        ...at('fs-faults', '$name is found out'),
        ...at(
          'wire/sink',
          'a finished file is on the device before its name is, and its name before the writer says so',
        ),
      ],
    },
    {
      input: 'A place that cannot be written to',
      answer: 'an error before any long work',
      elsewhere: at('wire/sink', 'what is no file, exists, or can have no folder is refused before any work'),
    },
    {
      input: 'Signals',
      answer: 'no process and no file is left; exit 130 or 143',
      elsewhere: [
        ...at('cli/exit-codes', '%s ends a waiting command with %d and leaves no file'),
        ...at('cli/run', '%s in the middle of a run leaves no process and no file'),
        ...at('cli/signals', '%s ends on %j with %d and leaves nothing'),
      ],
    },
    {
      input: 'kill -9, loss of power',
      answer: 'the old output or the new one; the next run clears up',
      elsewhere: [
        ...at('extract', 'a run that is killed leaves the old file, and the next one clears up'),
        ...at('wire/sink', 'those of dead processes are removed, those of live ones stay'),
        ...at('cli/kill', 'kill -9 at random moments leaves the old output or the new one, whole'),
      ],
    },
    {
      input: 'Two runs of one output',
      answer: 'both finish; one of the results stands',
      elsewhere: [
        ...at('wire/sink', 'two writers of one target leave the whole of one'),
        ...at('batch/batch', 'two runs at once both finish, and every output is whole'),
        ...at(
          'concurrency',
          'eight writers of one output and a reader, weights %s: every sight of it is one whole result',
        ),
      ],
    },
    {
      input: 'An input that changes while it is read',
      answer: 'an error; nothing is written',
      elsewhere: [
        ...at('wire/sink', '%s that changes is noticed', 'a model that shrinks is noticed'),
        ...at('wire/file-source', 'a file that became shorter is an error with the offset, not an endless loop'),
        ...at('concurrency', 'a model that is %s while it is read'),
        ...at('faults', 'a model that changes while it is inspected is no model'),
      ],
    },
    {
      input: 'Standard output that is closed or full',
      answer: '141, or an input/output error; never exit 0 with lost bytes',
      elsewhere: [
        ...at('cli/exit-codes', '141: nobody reads', '4: standard output on a full disk'),
        ...at(
          'cli/main',
          'a closed pipe ends quietly with 141',
          'a full disk is an input/output error, said on standard error even under --json',
        ),
        ...at('cli/stdout', 'a program that prints and exits is found out'),
      ],
    },
    {
      input: 'Network file systems',
      answer: 'a directory that cannot be synced is no failure; a rename is believed by what stands there',
      elsewhere: at('wire/sink', 'a directory that cannot be synced is no failure, one that cannot be listed neither'),
    },
    {
      input: 'Renames that Windows refuses for a moment',
      answer: 'tried again, and given up in the end',
      elsewhere: at('wire/sink', 'a rename that is refused for a moment is tried again, and given up in the end'),
    },
    {
      input: 'A temporary folder on another file system',
      answer: 'temporary files stand beside their target',
      elsewhere: at('faults', 'temporary files stand beside their target, whatever folder the system has for them'),
    },
    {
      input: 'Memory',
      answer: 'grows with the graph, not with the weights; the child has a limit of its own',
      elsewhere: [
        ...at('wire/window', 'skipped bytes do not count against the limit, resident ones do'),
        ...at('runtime/child', 'that takes too much memory is killed'),
      ],
    },
    {
      input: 'One bad model among many',
      answer: 'the others are done; one record each; exit 1',
      elsewhere: at(
        'batch/campaign',
        'every item has one terminal record, the good are as a serial run makes them, and the parent lives',
        'kill -9 of the parent at any moment, then --resume: nothing is lost, doubled or torn',
      ),
    },
    {
      input: 'A child that crashes, ends or talks nonsense',
      answer: 'an error with the signal and its last words; a batch tries once more',
      elsewhere: [
        ...at('runtime/child', 'that crashes is named with its signal and its last words, made safe'),
        ...at('batch/batch', 'a crash, an exit and garbage are one failure each, tried twice, and the rest goes on'),
      ],
    },
    {
      input: 'Endless loops, boundless allocations',
      answer: 'ended by the limit of time or memory',
      elsewhere: at(
        'runtime/open-session',
        'an endless loop is ended by the time limit',
        'a run that fails, and an allocation that no machine has',
      ),
    },
    {
      input: 'Devices',
      answer: 'one that is named is used or it is an error; `auto` says where it ran; too large a batch is halved',
      elsewhere: [
        ...at(
          'runtime/open-session',
          'one that is named never becomes the CPU',
          'several are tried in their order, and auto always ends somewhere',
        ),
        ...at(
          'device-runs',
          'a batch that the device cannot hold runs in halves, each failure in a fresh session, and later batches are cut at once',
        ),
      ],
    },
    {
      input: 'Records that are stale or forged',
      answer: 'not believed; checked by content',
      elsewhere: [
        ...at(
          'batch/batch',
          'a record that is stale or poisoned is not believed',
          'a content that changes under the same size and time is seen',
        ),
        ...at('onnx/fingerprint', 'refuses an original of another size or content, naming it'),
      ],
    },
  ],
};

/** The 88 rows, in their order. */
export const SECTIONS: readonly FaultSection[] = [WIRE, GRAPH, TENSORS, NAMES, FILES];

/** Every row with its number. */
export const ROWS: readonly (FaultRow & { readonly number: number })[] = SECTIONS.flatMap(({ first, rows }) =>
  rows.map((row, index) => ({ ...row, number: first + index })),
);
