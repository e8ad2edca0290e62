import { DataType } from '../../onnx/schema.js';
import { RuleFault, type Call, type Rule } from '../call.js';
import type { Size } from '../formula.js';
import { tensorInfo, type Scalar } from '../info.js';

/** Fourier transforms, windows and mel banks. */

/** Half of the frequencies, the middle one included. */
function half(call: Call, size: Size): Size {
  return call.algebra.add(call.algebra.floorDivide(size, 2), 1);
}

/**
 * [batch, …, 1 or 2]; the axis is an attribute before version 20. @see https://onnx.ai/onnx/operators/onnx__DFT.html
 */
const dft: Rule = (call) => {
  const shape = call.shape(0);
  const elem = call.elem(0);
  if (shape === null) return [tensorInfo(elem, null)];
  const isInverse = call.int('inverse', 0) !== 0;
  const isOneSided = call.int('onesided', 0) !== 0;
  const parts = isInverse && isOneSided ? 1 : 2;
  const given: Scalar = call.opset < 20 ? call.int('axis', 1) : call.has(2) ? (call.value(2)?.[0] ?? null) : -2;
  if (typeof given !== 'number') return [tensorInfo(elem, [...call.unknowns(shape.length - 1), parts])];
  const axis = call.axis(given, shape.length);
  const length: Size = call.has(1)
    ? (call.value(1)?.[0] ?? call.unknown())
    : isInverse && isOneSided
      ? call.algebra.multiply(call.algebra.subtract(shape[axis], 1), 2)
      : shape[axis];
  const made = isOneSided && !isInverse ? half(call, length) : length;
  return [tensorInfo(elem, [...shape.slice(0, -1).map((dim, at) => (at === axis ? made : dim)), parts])];
};

/** [batch, length, 1 or 2] to [batch, frames, frequencies, 2]. */
const stft: Rule = (call) => {
  const shape = call.shape(0);
  const { algebra } = call;
  const step = call.value(1)?.[0] ?? null;
  const frame = call.has(3) ? (call.value(3)?.[0] ?? null) : (call.shape(2)?.[0] ?? null);
  const batch = shape?.[0] ?? call.unknown();
  if (frame === null) return [tensorInfo(call.elem(0), [batch, call.unknown(), call.unknown(), 2])];
  if (step === 0) throw new RuleFault('a step of 0');
  const frames =
    step === null || shape === null
      ? call.unknown()
      : algebra.add(algebra.floorDivide(algebra.subtract(shape[1], frame), step), 1);
  const frequencies = call.int('onesided', 1) === 0 ? frame : half(call, frame);
  return [tensorInfo(call.elem(0), [batch, frames, frequencies, 2])];
};

const window: Rule = (call) => [
  tensorInfo(call.int('output_datatype', DataType.float), [call.value(0)?.[0] ?? call.unknown()]),
];

const melWeightMatrix: Rule = (call) => {
  const [bins, length] = [call.value(0)?.[0], call.value(1)?.[0]];
  return [
    tensorInfo(call.int('output_datatype', DataType.float), [
      length == null ? call.unknown() : half(call, length),
      bins ?? call.unknown(),
    ]),
  ];
};

/** Rules of transforms of signals. */
export const SIGNAL: { readonly [opType: string]: Rule } = {
  DFT: dft,
  STFT: stft,
  BlackmanWindow: window,
  HammingWindow: window,
  HannWindow: window,
  MelWeightMatrix: melWeightMatrix,
};
