import type { Attribute, Node, OpsetImport } from '../onnx/records.js';
import type { BodyRunner } from './call.js';
import type { Info } from './info.js';

/** A graph, a body or a function in which names mean something. */
export interface Scope {
  readonly infos: Pick<Map<string, Info>, 'get'> & { set(name: string, info: Info): unknown };
  readonly around: Scope | null;
  readonly opsets: ReadonlyMap<string, number>;
  /** Attributes of the call of the function that this is in. */
  readonly attributes: ReadonlyMap<string, Attribute> | null;
  /** Runs a body whose node stands in this scope. */
  readonly runBody: BodyRunner;
}

/** The version of each operator set. */
export function opsetsOf(imports: readonly OpsetImport[]): ReadonlyMap<string, number> {
  return new Map(imports.map(({ domain, version }) => [domain, version]));
}

/** What is known of a tensor in a scope or around it. */
export function lookup(scope: Scope, name: string): Info | null {
  for (let at: Scope | null = scope; at !== null; at = at.around) {
    const info = at.infos.get(name);
    if (info !== undefined) return info;
  }
  return null;
}

const NO_ATTRIBUTES: ReadonlyMap<string, Attribute> = new Map();

/**
 * The attributes of a node by name; what refers to an attribute of the function around is that attribute, or absent.
 */
export function attributesOf({ attributes }: Node, scope: Scope): ReadonlyMap<string, Attribute> {
  if (attributes.length === 0) return NO_ATTRIBUTES;
  const byName = new Map<string, Attribute>();
  for (const attribute of attributes) {
    const { name, refAttrName } = attribute;
    const value = refAttrName === '' ? attribute : scope.attributes?.get(refAttrName);
    if (value !== undefined) byName.set(name, value);
  }
  return byName;
}
