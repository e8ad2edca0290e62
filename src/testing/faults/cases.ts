import type { FaultCase } from './case.js';
import { FILE_CASES } from './files.js';
import { GRAPH_CASES } from './graph.js';
import { NAME_CASES } from './names.js';
import { TENSOR_CASES } from './tensors.js';
import { WIRE_CASES } from './wire.js';

/** Every bad input and fault that is run through the command line. */
export const CASES: readonly FaultCase[] = [
  ...WIRE_CASES,
  ...GRAPH_CASES,
  ...TENSOR_CASES,
  ...NAME_CASES,
  ...FILE_CASES,
];
