/** Every command there is, in the order of the help. */
export const COMMAND_LIST = [
  { name: 'inspect', summary: 'show the features of a model: modules, channels, strides, tensors' },
  { name: 'extract', summary: 'cut features out of a model, or hook them onto it, as a new .onnx file' },
  { name: 'split', summary: 'split a model into parts that one after the other compute what it computes' },
  { name: 'common', summary: 'find up to where models are the same, and write what they share once' },
  { name: 'run', summary: 'run features over pictures, texts and arrays, and write them as arrays or rows' },
  { name: 'verify', summary: 'compare a cut with its original: the same inputs, every feature bit for bit' },
  { name: 'report', summary: 'show the features of a few pictures on one page: likeness, components, norms, channels' },
  { name: 'diff', summary: 'say what two models have in common, and at which feature they part' },
  { name: 'page', summary: 'write a page that finds and cuts features in a browser, without a server' },
  { name: 'batch', summary: 'cut features out of many models: incremental, crash-safe, on one machine or many' },
  { name: 'init', summary: 'write a starting featx.config.json for the models that are there' },
  { name: 'merge', summary: 'join what the shards of a batch made, and check that it is whole' },
  { name: 'cache', summary: 'list, remove or check what was fetched of remote models' },
  { name: 'doctor', summary: 'say what this machine has and lacks for running models, and what mends it' },
  { name: 'completion', summary: 'write a completion script for a shell, or a man page' },
  { name: 'version', summary: 'print the version' },
] as const satisfies readonly { readonly name: string; readonly summary: string }[];
