import { viewGraph, type GraphView } from '../../onnx/graph.js';
import type { OnnxModel } from '../../onnx/records.js';
import { skeleton } from '../../onnx/skeleton.js';
import { dtypeWord } from '../../onnx/types.js';
import { openModel } from '../../open.js';
import { outputTypes, type OutputType } from '../../runtime/session.js';
import { askable } from '../../runtime/types.js';
import { Constants } from '../../shapes/constants.js';
import { Evaluation } from '../../shapes/evaluate.js';
import { fitted } from '../../shapes/fit.js';
import { inferGraph, type Inference } from '../../shapes/infer.js';
import { isTensor, type Info } from '../../shapes/info.js';
import { nominalInputs, renumbered, type NominalInputs } from '../../shapes/nominal.js';

/** What featx infers beside what ONNX Runtime says, tensor by tensor. */

/** What a comparison of one model found. */
export interface Comparison {
  readonly tensors: number;
  /** Tensors whose rank featx knows, whose dims are all numbers, and whose dims are all numbers or formulas. */
  readonly ranked: number;
  readonly numeric: number;
  readonly formulas: number;
  /** Tensors of which the oracle has all dims, and those of them that featx has too. */
  readonly oracle: number;
  readonly shared: number;
  /** Formulas that were evaluated. */
  readonly evaluated: number;
  readonly differences: readonly string[];
  readonly missing: readonly string[];
  readonly refused: string | null;
  /** Nodes whose outputs are not known from their inputs. */
  readonly gaps: readonly string[];
  /** Whether ONNX Runtime is asked about the file. */
  readonly asks: boolean;
  readonly contradictions: readonly string[];
  readonly ms: number;
}

/** @throws FeatxError for a file that is not a model */
export async function compareFile(path: string, rounds = 1): Promise<Comparison> {
  await using model = await openModel(path);
  return await compare(model, rounds);
}

async function compare(model: OnnxModel, rounds: number): Promise<Comparison> {
  const view = viewGraph(model);
  const constants = await Constants.of(model);
  const started = performance.now();
  const symbolic = inferGraph(view, constants);
  const ms = performance.now() - started;
  const names = [...view.producerOf.keys()];
  const differences: string[] = [];
  const missing: string[] = [];
  let [oracle, shared, evaluated] = [0, 0, 0];
  let refused: string | null = null;
  const fit = fitted(nominalInputs(view), symbolic.requirements).inputs;
  for (let round = 0; round < (fit.symbolic.size === 0 ? 1 : rounds); round++) {
    const inputs = round === 0 ? fit : varied(fit, round);
    const numbered = inferGraph(view, constants, {
      inputShapes: inputs.shapes,
      symbols: inputs.symbols,
      fixDefaults: true,
    });
    const evaluation = new Evaluation(inputs.symbols);
    const answers = await asked(view, names, inputs.shapes);
    if (typeof answers === 'string') refused = answers;
    for (const [index, name] of names.entries()) {
      const own = numbered.infos.get(name) ?? null;
      const formula = symbolic.infos.get(name) ?? null;
      const said = typeof answers === 'string' ? null : (answers[index] ?? null);
      if (said !== null) {
        const wrong = disagreement(name, own, said);
        if (wrong !== null) differences.push(`${name} (${view.producerOf.get(name)?.node.opType}): ${wrong}`);
        if (isNumeric(said)) {
          oracle++;
          if (numericShape(own) !== null) shared++;
          else
            missing.push(
              `${name} (${view.producerOf.get(name)?.node.opType}): ${text(own)} for ${said.shape.join(',')}`,
            );
        }
      }
      const isPossible = typeof answers !== 'string';
      if (isPossible && isTensor(formula) && isTensor(own) && formula.shape?.length === own.shape?.length) {
        formula.shape?.forEach((dim, axis) => {
          if (typeof dim === 'number') return;
          const number = evaluation.numberOf(dim);
          const other = own.shape?.[axis];
          if (number === null || typeof other !== 'number') return;
          evaluated++;
          if (number !== other) differences.push(`${name}[${axis}]: the formula gives ${number} for ${other}`);
        });
      }
    }
  }
  const infos = names.map((name) => symbolic.infos.get(name) ?? null);
  return {
    tensors: names.length,
    ranked: infos.filter((info) => info !== null && (!isTensor(info) || info.shape !== null)).length,
    numeric: infos.filter((info) => info !== null && (!isTensor(info) || numericShape(info) !== null)).length,
    formulas: infos.filter(
      (info) =>
        info !== null &&
        (!isTensor(info) || (info.shape?.every((dim) => typeof dim === 'number' || dim.isKnown) ?? false)),
    ).length,
    oracle,
    shared,
    evaluated,
    differences,
    missing,
    refused,
    gaps: symbolic.gaps.map(
      ({ node, fault, unknown }) =>
        `${node.domain}:${node.opType} node[${node.index}]: ${fault ?? `unknown ${unknown.join(', ')}`}`,
    ),
    asks: askable(view, symbolic, names).length > 0,
    contradictions: contradictionTexts(symbolic),
    ms,
  };
}

/** The shapes that featx knows as numbers for any input, by tensor. @throws FeatxError if a file is not a model */
export async function numericShapes(path: string): Promise<ReadonlyMap<string, readonly number[]>> {
  await using model = await openModel(path);
  const { infos } = inferGraph(viewGraph(model), await Constants.of(model));
  return new Map(
    [...infos].flatMap(([name, info]) => {
      const shape = numericShape(info);
      return shape === null ? [] : [[name, shape] as const];
    }),
  );
}

/**
 * Other sizes: more than one in a batch, sides that are not equal. In every second round they are odd; many networks
 * take only multiples of 32, which the others are.
 */
function varied(fit: NominalInputs, round: number): NominalInputs {
  const symbols = new Map(fit.symbols);
  let step = 0;
  for (const name of fit.chosen.keys()) {
    const role = fit.chosen.get(name);
    const size = symbols.get(name) ?? 1;
    step++;
    if (role === 'batch') symbols.set(name, 1 + round);
    else if (role === 'side') symbols.set(name, size + 32 * (step + round) - (round % 2 === 0 ? 0 : 27));
    else if (role === 'length') symbols.set(name, size + 3 * round + step);
  }
  return renumbered(fit, symbols);
}

function contradictionTexts({ contradictions }: Inference): string[] {
  return contradictions.map(
    ({ tensor, declared, inferred, believed }) => `${tensor}: ${text(declared)} / ${text(inferred)} -> ${believed}`,
  );
}

async function asked(
  view: GraphView,
  names: readonly string[],
  inputShapes: ReadonlyMap<string, readonly number[]>,
): Promise<readonly OutputType[] | string> {
  try {
    return outputTypes(await skeleton(view, names, { inputShapes, fixDefaults: true }), 'basic');
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function isNumeric({ elemType, shape }: OutputType): boolean {
  return elemType !== null && shape.length > 0 && shape.every((dim) => typeof dim === 'number');
}

function numericShape(info: Info | null): readonly number[] | null {
  if (!isTensor(info) || info.shape === null) return null;
  return info.shape.every((dim): dim is number => typeof dim === 'number') ? info.shape : null;
}

function disagreement(_name: string, own: Info | null, said: OutputType): string | null {
  if (own === null) return null;
  if (said.elemType === null) return isTensor(own) ? `a tensor, said not to be one` : null;
  if (!isTensor(own)) return `${own.kind}, said to be a tensor`;
  if (own.elemType !== 0 && own.elemType !== said.elemType)
    return `${dtypeWord(own.elemType)}, said to be ${dtypeWord(said.elemType)}`;
  // An empty shape is a scalar, or an unknown rank.
  if (own.shape === null || said.shape.length === 0) return null;
  if (own.shape.length !== said.shape.length) return `${text(own)}, said to be [${said.shape.join(',')}]`;
  const differs = own.shape.some(
    (dim, axis) => typeof dim === 'number' && typeof said.shape[axis] === 'number' && dim !== said.shape[axis],
  );
  return differs ? `${text(own)}, said to be [${said.shape.join(',')}]` : null;
}

function text(info: Info | null): string {
  if (info === null) return '?';
  if (!isTensor(info)) return info.kind;
  return `${dtypeWord(info.elemType)}[${info.shape?.map((dim) => (typeof dim === 'number' ? dim : '?')).join(',') ?? '...'}]`;
}
