import { DataType } from '../../onnx/schema.js';
import type { Rule } from '../call.js';
import { tensorInfo, type Shape } from '../info.js';

/** Losses, text and pictures. */

const negativeLogLikelihood: Rule = (call) => [
  tensorInfo(call.elem(0), call.text('reduction', 'mean') === 'none' ? call.shape(1) : []),
];

const softmaxCrossEntropy: Rule = (call) => [
  tensorInfo(call.elem(0), call.text('reduction', 'mean') === 'none' ? call.shape(1) : []),
  tensorInfo(call.elem(0), call.shape(0)),
];

/** Parts of each string, and how many there are. */
const stringSplit: Rule = (call) => {
  const shape = call.shape(0);
  return [
    tensorInfo(DataType.string, shape === null ? null : [...shape, call.unknown()]),
    tensorInfo(DataType.int64, shape),
  ];
};

/** Stop words are left out of a list; of a row of them too. */
const stringNormalizer: Rule = (call) => {
  const shape = call.shape(0);
  const keepsAll = (call.attribute('stopwords')?.strings ?? []).length === 0;
  const dims: Shape | null = shape === null || keepsAll ? shape : [...shape.slice(0, -1).map(() => 1), call.unknown()];
  return [tensorInfo(DataType.string, dims)];
};

/** A count per n-gram behind the batch. */
const tfIdfVectorizer: Rule = (call) => {
  const indexes = call.ints('ngram_indexes');
  const shape = call.shape(0);
  const size = indexes === undefined ? call.unknown() : indexes.reduce((most, index) => Math.max(most, index), -1) + 1;
  return [tensorInfo(DataType.float, shape === null ? null : [...shape.slice(0, -1), size])];
};

const imageDecoder: Rule = (call) => {
  const channels = call.text('pixel_format', 'RGB') === 'Grayscale' ? 1 : 3;
  return [tensorInfo(DataType.uint8, [call.unknown(), call.unknown(), channels])];
};

/** Rules of losses, text and pictures. */
export const OTHERS: { readonly [opType: string]: Rule } = {
  NegativeLogLikelihoodLoss: negativeLogLikelihood,
  SoftmaxCrossEntropyLoss: softmaxCrossEntropy,
  StringSplit: stringSplit,
  StringNormalizer: stringNormalizer,
  TfIdfVectorizer: tfIdfVectorizer,
  ImageDecoder: imageDecoder,
};
