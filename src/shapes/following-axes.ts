import type { GraphView } from '../onnx/graph.js';
import { Constants } from './constants.js';
import { inferGraph } from './infer.js';
import { isTensor } from './info.js';

/** An axis of some inputs. */
export interface FollowedAxis {
  readonly inputs: readonly string[];
  readonly axis: number;
}

/** Sizes that nothing else in a network has by chance. */
const SIZES = [17, 19] as const;

/** The axes of tensors that have the size of an axis of inputs, whatever it is; none if shapes do not prove it. */
export async function followingAxes(
  view: GraphView,
  tensors: readonly string[],
  { inputs, axis }: FollowedAxis,
  inputShapes: ReadonlyMap<string, readonly number[]>,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const constants = await Constants.of(view.model);
  const at = (size: number): ReadonlyMap<string, readonly unknown[]> => {
    const resized = [...inputShapes].map(
      ([name, shape]) => [name, inputs.includes(name) ? shape.with(axis, size) : shape] as const,
    );
    const { infos } = inferGraph(view, constants, { inputShapes: new Map(resized), fixDefaults: true });
    return new Map(
      tensors.map((name) => {
        const info = infos.get(name);
        return [name, (isTensor(info) ? info.shape : null) ?? []];
      }),
    );
  };
  const [small, large] = [at(SIZES[0]), at(SIZES[1])];
  return new Map(
    tensors.map((name) => [
      name,
      (small.get(name) ?? []).flatMap((size, place) =>
        size === SIZES[0] && large.get(name)?.[place] === SIZES[1] ? [place] : [],
      ),
    ]),
  );
}
