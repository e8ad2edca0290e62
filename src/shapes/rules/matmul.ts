import { DataType } from '../../onnx/schema.js';
import { RuleFault, type Call, type Rule } from '../call.js';
import type { Size } from '../formula.js';
import { tensorInfo, type Shape } from '../info.js';
import { broadcast, broadcastSize, sameSize } from '../sizes.js';

/** Products of matrices. */

/** numpy's matmul: a vector counts as a matrix whose axis of 1 is dropped. */
export function matmulShape(call: Call, a: Shape | null, b: Shape | null): Shape | null {
  if (a === null || b === null) return null;
  if (a.length === 0 || b.length === 0) throw new RuleFault('a scalar is no matrix');
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  sameSize(left[left.length - 1], right[right.length - 2], call.algebra);
  const lead = broadcast([left.slice(0, -2), right.slice(0, -2)], call.algebra) ?? [];
  const rows = a.length === 1 ? [] : [left[left.length - 2]];
  const columns = b.length === 1 ? [] : [right[right.length - 1]];
  return [...lead, ...rows, ...columns];
}

const matmul: Rule = (call) => [
  tensorInfo(call.elem(0) || call.elem(1), matmulShape(call, call.shape(0), call.shape(1))),
];

const matmulInteger: Rule = (call) => [tensorInfo(DataType.int32, matmulShape(call, call.shape(0), call.shape(1)))];

const qLinearMatMul: Rule = (call) => [
  tensorInfo(call.elem(7) || call.elem(0), matmulShape(call, call.shape(0), call.shape(3))),
];

/** Rows of A and columns of B, each possibly transposed. */
export function gemmShape(call: Call, a: Shape | null, b: Shape | null): Shape {
  const rows = a?.[call.int('transA', 0) === 0 ? 0 : 1];
  const columns = b?.[call.int('transB', 0) === 0 ? 1 : 0];
  return [rows ?? call.unknown(), columns ?? call.unknown()];
}

const gemm: Rule = (call) => [tensorInfo(call.elem(0) || call.elem(1), gemmShape(call, call.shape(0), call.shape(1)))];

const ELLIPSIS = '...';

/** @see https://onnx.ai/onnx/operators/onnx__Einsum.html */
const einsum: Rule = (call) => {
  const elem = call.elem(0);
  const [left, right] = call.text('equation', '').replaceAll(' ', '').split('->');
  const terms = left.split(',').map(labelsOf);
  if (terms.length !== call.node.inputs.length) throw new RuleFault('terms and inputs differ in number');
  const sizes = new Map<string, Size>();
  let lead: Shape = [];
  for (const [index, labels] of terms.entries()) {
    const shape = call.shape(index);
    if (shape === null) return [tensorInfo(elem, null)];
    const covered = shape.length - labels.filter((label) => label !== ELLIPSIS).length;
    if (covered < 0 || (covered > 0 && !labels.includes(ELLIPSIS))) throw new RuleFault('labels do not fit the rank');
    let axis = 0;
    for (const label of labels) {
      if (label === ELLIPSIS) {
        lead = broadcast([lead, shape.slice(axis, axis + covered)], call.algebra) ?? [];
        axis += covered;
        continue;
      }
      const size = sizes.get(label);
      sizes.set(label, size === undefined ? shape[axis] : broadcastSize(size, shape[axis], call.algebra));
      axis++;
    }
  }
  const result = right === undefined ? impliedLabels(terms) : labelsOf(right);
  return [
    tensorInfo(
      elem,
      result.flatMap((label) => (label === ELLIPSIS ? lead : [sizes.get(label) ?? call.unknown()])),
    ),
  ];
};

function labelsOf(term: string): string[] {
  return term.match(/\.\.\.|[A-Za-z]/g) ?? [];
}

/** Without an arrow: the ellipsis, then what stands once, sorted. */
function impliedLabels(terms: readonly (readonly string[])[]): string[] {
  const counts = new Map<string, number>();
  for (const label of terms.flat()) counts.set(label, (counts.get(label) ?? 0) + 1);
  const once = [...counts].filter(([label, count]) => count === 1 && label !== ELLIPSIS).map(([label]) => label);
  once.sort((a, b) => a.charCodeAt(0) - b.charCodeAt(0));
  return [...(counts.has(ELLIPSIS) ? [ELLIPSIS] : []), ...once];
}

const determinant: Rule = (call) => [tensorInfo(call.elem(0), call.shape(0)?.slice(0, -2) ?? null)];

/** Rules of products of matrices. */
export const MATRICES: { readonly [opType: string]: Rule } = {
  MatMul: matmul,
  MatMulInteger: matmulInteger,
  QLinearMatMul: qLinearMatMul,
  Gemm: gemm,
  Einsum: einsum,
  Det: determinant,
};
