import { DataType } from '../../onnx/schema.js';
import type { Call, Rule } from '../call.js';
import type { Size } from '../formula.js';
import { tensorInfo, type Info } from '../info.js';
import { sameAsInput, sameShape } from './elementwise.js';

/** Operators of `ai.onnx.ml`. @see https://github.com/onnx/onnx/blob/main/docs/Operators-ml.md */

/** Rows of a matrix; a vector is one row. */
function rowsOf(call: Call): Size {
  const shape = call.shape(0);
  if (shape === null) return call.unknown();
  return shape.length < 2 ? 1 : shape[0];
}

/** Labels [N] and scores [N, classes]. */
const classifier: Rule = (call) => {
  const strings = call.attribute('classlabels_strings')?.strings ?? [];
  const ints = call.ints('classlabels_ints') ?? call.ints('classlabels_int64s') ?? [];
  const classes = Math.max(strings.length, ints.length);
  const rows = rowsOf(call);
  return [
    tensorInfo(strings.length > 0 ? DataType.string : DataType.int64, [rows]),
    tensorInfo(DataType.float, [rows, classes > 1 ? classes : call.unknown()]),
  ];
};

const regressor =
  (attribute: string): Rule =>
  (call) => [tensorInfo(DataType.float, [rowsOf(call), call.int(attribute, 1)])];

const labelEncoder: Rule = (call) => [tensorInfo(encodedType(call), call.shape(0))];

function encodedType(call: Call): number {
  if (call.attribute('values_strings') !== undefined) return DataType.string;
  if (call.attribute('values_int64s') !== undefined) return DataType.int64;
  if (call.attribute('values_floats') !== undefined) return DataType.float;
  const tensor = call.attribute('values_tensor')?.tensors[0];
  if (tensor !== undefined) return tensor.dataType;
  // Before version 2 strings became integers, and integers strings.
  if (call.elem(0) === 0) return 0;
  return call.elem(0) === DataType.string ? DataType.int64 : DataType.string;
}

const oneHotEncoder: Rule = (call) => {
  const shape = call.shape(0);
  const categories = Math.max(
    call.attribute('cats_strings')?.strings.length ?? 0,
    call.ints('cats_int64s')?.length ?? 0,
  );
  return [tensorInfo(DataType.float, shape === null ? null : [...shape, categories])];
};

const featureVectorizer: Rule = (call) => {
  const sizes = call.ints('inputdimensions');
  const width = sizes?.reduce((sum, size) => sum + size, 0);
  return [tensorInfo(DataType.float, [rowsOf(call), width ?? call.unknown()])];
};

const arrayFeatureExtractor: Rule = (call) => {
  const [shape, indices] = [call.shape(0), call.shape(1)];
  if (shape === null || indices === null) return [tensorInfo(call.elem(0), null)];
  const count = call.algebra.product(indices);
  const lead = shape.length < 2 ? [1] : shape.slice(0, -1);
  return [tensorInfo(call.elem(0), [...lead, count])];
};

const castMap: Rule = (call) => {
  const word = call.text('cast_to', 'TO_FLOAT');
  const elem = word === 'TO_FLOAT' ? DataType.float : word === 'TO_STRING' ? DataType.string : DataType.int64;
  return [tensorInfo(elem, [1, call.unknown()])];
};

const zipMap: Rule = (call): readonly Info[] => {
  const keyType = call.attribute('classlabels_strings') === undefined ? DataType.int64 : DataType.string;
  const value = { kind: 'tensor', elemType: DataType.float, shape: null } as const;
  return [{ kind: 'sequence', element: { kind: 'map', type: { kind: 'map', keyType, value } } }];
};

/** One tree ensemble for both: the dtype of its input, a column for each target. */
const treeEnsemble: Rule = (call) => [tensorInfo(call.elem(0), [rowsOf(call), call.int('n_targets', 1)])];

/** The values of a map in the order of the vocabulary; a run gives [1, C], the specification says [C]. */
const dictVectorizer: Rule = (call) => {
  const info = call.info(0);
  const type = info?.kind === 'map' && info.type.kind === 'map' ? info.type.value : null;
  const words = call.attribute('string_vocabulary')?.strings.length ?? 0;
  const size = Math.max(words, call.ints('int64_vocabulary')?.length ?? 0);
  return [tensorInfo(type?.kind === 'tensor' ? type.elemType : 0, [1, size])];
};

/** Rules of `ai.onnx.ml`. */
export const CLASSICAL: { readonly [opType: string]: Rule } = {
  ArrayFeatureExtractor: arrayFeatureExtractor,
  Binarizer: sameAsInput,
  CastMap: castMap,
  CategoryMapper: labelEncoder,
  DictVectorizer: dictVectorizer,
  FeatureVectorizer: featureVectorizer,
  Imputer: sameAsInput,
  LabelEncoder: labelEncoder,
  LinearClassifier: classifier,
  LinearRegressor: regressor('targets'),
  Normalizer: sameShape(DataType.float),
  OneHotEncoder: oneHotEncoder,
  Scaler: sameShape(DataType.float),
  SVMClassifier: classifier,
  SVMRegressor: regressor('n_targets'),
  TreeEnsemble: treeEnsemble,
  TreeEnsembleClassifier: classifier,
  TreeEnsembleRegressor: regressor('n_targets'),
  ZipMap: zipMap,
};
