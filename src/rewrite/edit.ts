import { UsageError } from '../errors.js';
import type { NewNode, NewTensor } from '../onnx/schema.js';
import type { OnnxModel, ValueType } from '../onnx/records.js';

/**
 * What to change in a model, as data: it can be printed, tested, stored as JSON, and applied by `splice`. Everything is named by its index
 * in the file, because names may repeat.
 */
export interface GraphEdit {
  readonly drop: Drops;
  readonly addNodes: readonly NewNode[];
  readonly addInitializers: readonly NewTensor[];
  /** The outputs of the result, in order; null leaves them as they are. */
  readonly outputs: readonly OutputEdit[] | null;
  readonly addOpsetImports: readonly { readonly domain: string; readonly version: number }[];
  /** `metadata_props` to set; an entry of the same key is replaced. */
  readonly setMetadata: readonly { readonly key: string; readonly value: string }[];
}

/** Indices of what is left out, per list of the main graph (`functions`: of the model). */
export interface Drops {
  readonly nodes: readonly number[];
  readonly initializers: readonly number[];
  readonly sparseInitializers: readonly number[];
  readonly inputs: readonly number[];
  readonly valueInfo: readonly number[];
  readonly quantizationAnnotations: readonly number[];
  readonly functions: readonly number[];
  readonly trainingInfo: boolean;
}

/** A graph output. Its type is borrowed from the ValueInfo that the file has, or stated, or left to the runtime. */
export interface OutputEdit {
  readonly name: string;
  readonly borrow: { readonly list: 'output' | 'valueInfo' | 'input'; readonly index: number } | null;
  readonly type: ValueType | null;
}

export const NO_DROPS: Drops = {
  nodes: [], initializers: [], sparseInitializers: [], inputs: [], valueInfo: [], quantizationAnnotations: [], functions: [], trainingInfo: false,
};

export const EMPTY_EDIT: GraphEdit = { drop: NO_DROPS, addNodes: [], addInitializers: [], outputs: null, addOpsetImports: [], setMetadata: [] };

export function isEmpty(edit: GraphEdit): boolean {
  const { drop } = edit;
  return edit.outputs === null && edit.addNodes.length + edit.addInitializers.length + edit.addOpsetImports.length + edit.setMetadata.length === 0
    && !drop.trainingInfo && Object.values(drop).every((value) => typeof value === 'boolean' || value.length === 0);
}

/** @throws UsageError naming every index that the model does not have, or an output that no node, input or initializer would make */
export function validateEdit(model: OnnxModel, edit: GraphEdit): void {
  const { graph } = model;
  const lists: { readonly [K in Exclude<keyof Drops, 'trainingInfo'>]: readonly unknown[] } = {
    nodes: graph.nodes, initializers: graph.initializers, sparseInitializers: graph.sparseInitializers, inputs: graph.inputs,
    valueInfo: graph.valueInfo, quantizationAnnotations: graph.quantizationAnnotations, functions: model.functions,
  };
  const problems: string[] = [];
  for (const [name, list] of Object.entries(lists) as [Exclude<keyof Drops, 'trainingInfo'>, readonly unknown[]][]) {
    const bad = edit.drop[name].filter((index) => !Number.isInteger(index) || index < 0 || index >= list.length);
    if (bad.length > 0) problems.push(`drop.${name}: ${bad.join(', ')} (the model has ${list.length})`);
  }
  const names = new Set<string>();
  for (const { name } of edit.outputs ?? []) {
    if (name === '') problems.push('an output without a name');
    if (names.has(name)) problems.push(`two outputs named '${name}'`);
    names.add(name);
  }
  if (problems.length > 0) throw new UsageError(`this edit does not fit the model: ${problems.join('; ')}`, { code: 'FEATX_USAGE_EDIT' });
}
