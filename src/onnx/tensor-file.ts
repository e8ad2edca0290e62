import { WireType, type Field } from '../wire/fields.js';
import type { ByteSource } from '../wire/source.js';
import { readLimits } from './limits.js';
import { readMessage } from './reader.js';
import { type MessageRule } from './message-rules.js';
import type { Tensor } from './records.js';
import { newTensor, tensorRule, type TensorDraft } from './rules/tensors.js';
import { TensorField } from './schema.js';

/** A file that is one TensorProto. */
export interface TensorFile {
  readonly tensor: Tensor;
  /** Whether it says anything of values in another file. */
  readonly isExternal: boolean;
  /** Whether it is one segment of a larger tensor. */
  readonly isSegment: boolean;
}

type TensorFileDraft = TensorDraft & { isSegment: boolean };

const fileRule: MessageRule<TensorFileDraft> = {
  ...tensorRule,
  each: (tensor, field) => {
    tensor.isSegment ||= field.number === TensorField.segment;
    tensorRule.each?.(tensor, field);
  },
};

/** Indexes a file that is one TensorProto, by the rules of those in models. @throws ModelFormatError, PolicyError */
export async function indexTensor(source: ByteSource): Promise<TensorFile> {
  const whole: Field = { number: 0, wireType: WireType.bytes, start: 0, payload: 0, end: source.size };
  const tensor: TensorFileDraft = { ...newTensor(whole, [], 'the tensor'), isSegment: false };
  await readMessage(source, fileRule, tensor, readLimits(), () => undefined);
  return {
    tensor,
    isExternal: tensor.external !== null || tensor.externalEntries.length > 0,
    isSegment: tensor.isSegment,
  };
}
