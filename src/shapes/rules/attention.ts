import type { Rule } from '../call.js';
import type { Size } from '../formula.js';
import { tensorInfo, type Shape } from '../info.js';

/** @see https://onnx.ai/onnx/operators/onnx__Attention.html */
const attention: Rule = (call) => {
  const [q, k, v] = [call.shape(0), call.shape(1), call.shape(2)];
  const elem = call.elem(0);
  if (q === null || k === null || v === null)
    return [tensorInfo(elem, null), tensorInfo(call.elem(1), null), tensorInfo(call.elem(2), null)];
  const { algebra } = call;
  const isPacked = q.length === 3;
  const heads: Size = isPacked ? (call.int('q_num_heads') ?? call.unknown()) : q[1];
  const shared: Size = isPacked ? (call.int('kv_num_heads') ?? call.unknown()) : k[1];
  const length = isPacked ? q[1] : q[2];
  const own = isPacked ? k[1] : k[2];
  const past = call.has(4) ? (call.shape(4)?.[2] ?? call.unknown()) : 0;
  const total = algebra.add(past, own);
  const keySize = isPacked ? (algebra.quotient(k[2], shared) ?? call.unknown()) : k[3];
  const valueSize = isPacked ? (algebra.quotient(v[2], shared) ?? call.unknown()) : v[3];
  const shape: Shape = isPacked ? [q[0], length, algebra.multiply(heads, valueSize)] : [q[0], heads, length, valueSize];
  return [
    tensorInfo(elem, shape),
    tensorInfo(call.elem(1), [q[0], shared, total, keySize]),
    tensorInfo(call.elem(2), [q[0], shared, total, valueSize]),
    tensorInfo(elem, [q[0], heads, length, total]),
  ];
};

/**
 * [B, T, Hq * dk], …: [B, T, Hq * dv] and a state [B, Hkv, dk, dv]. @see
 * https://onnx.ai/onnx/operators/onnx__LinearAttention.html
 */
const linearAttention: Rule = (call) => {
  const { algebra } = call;
  const [q, k, v] = [call.shape(0), call.shape(1), call.shape(2)];
  const heads = call.int('q_num_heads') ?? 0;
  const shared = call.int('kv_num_heads') ?? 0;
  const per = (size: Size | undefined): Size =>
    size === undefined || shared === 0 ? call.unknown() : (algebra.quotient(size, shared) ?? call.unknown());
  const [keySize, valueSize] = [per(k?.[2]), per(v?.[2])];
  const batch = q?.[0] ?? call.unknown();
  return [
    tensorInfo(call.elem(0), [batch, q?.[1] ?? call.unknown(), algebra.multiply(heads, valueSize)]),
    tensorInfo(call.has(3) ? call.elem(3) : call.elem(0), [batch, shared, keySize, valueSize]),
  ];
};

/** Queries with the size of a value at the end. */
const flexAttention: Rule = (call) => {
  const [q, v] = [call.shape(0), call.shape(2)];
  return [tensorInfo(call.elem(0), q === null || v === null ? null : [...q.slice(0, 3), v[3]])];
};

/** Rules of attention. */
export const ATTENTION: { readonly [opType: string]: Rule } = {
  Attention: attention,
  LinearAttention: linearAttention,
  FlexAttention: flexAttention,
};
