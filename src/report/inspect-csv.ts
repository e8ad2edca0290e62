import { csvLine } from './csv.js';
import type { InspectReport } from './records.js';
import { kindText, shapeText } from './shapes.js';

const FEATURE_TITLES = [
  'model',
  'index',
  'module',
  'num_chs',
  'reduction',
  'tensor',
  'dtype',
  'shape',
  'layout',
  'hook_type',
  'resolved_by',
  'confidence',
  'because',
  'group',
] as const;
const TENSOR_TITLES = ['model', 'name', 'dtype', 'shape', 'op_type', 'node', 'module'] as const;

/** The titles of `inspectCsv`'s records. */
export function inspectCsvHeader(tensors: boolean): string {
  return csvLine(tensors ? TENSOR_TITLES : FEATURE_TITLES);
}

/** A record per feature, those of groups behind those of the FeatureInfo, or per tensor where the report lists them. */
export function inspectCsv({ model, feature_info, groups, tensors }: InspectReport): string {
  if (tensors !== undefined) {
    return tensors
      .map((tensor) =>
        csvLine([
          model.path,
          tensor.name,
          kindText(tensor),
          shapeText(tensor.shape),
          tensor.op_type,
          tensor.node,
          tensor.module,
        ]),
      )
      .join('');
  }
  const listed = [
    ...feature_info.map((feature) => ({ ...feature, group: null })),
    ...groups.flatMap(({ name, features }) => features.map((feature) => ({ ...feature, group: name }))),
  ];
  return listed
    .map(
      ({
        index,
        module,
        num_chs,
        reduction,
        tensor,
        dtype,
        shape,
        layout,
        hook_type,
        resolved_by,
        confidence,
        because,
        group,
      }) =>
        csvLine([
          model.path,
          index,
          module,
          num_chs,
          reduction,
          tensor,
          dtype,
          shape === null ? null : shapeText(shape),
          layout,
          hook_type,
          resolved_by,
          confidence,
          because,
          group,
        ]),
    )
    .join('');
}
