import type { Attribute, Node } from '../onnx/records.js';

/** The attribute of that name, if the node has it. */
export function attributeOf(node: Node, name: string): Attribute | undefined {
  return node.attributes.find((attribute) => attribute.name === name);
}

/** An integer attribute list, empty where absent. */
export function intsOf(node: Node, name: string): readonly number[] {
  return attributeOf(node, name)?.ints.map(Number) ?? [];
}

/** The largest of an integer attribute list; `least` if none is larger. A file may hold any number of them. */
export function largestOf(node: Node, name: string, least: number): number {
  return intsOf(node, name).reduce((largest, each) => Math.max(largest, each), least);
}

/** An integer attribute. */
export function intOf(node: Node, name: string, fallback: number): number {
  return Number(attributeOf(node, name)?.i ?? fallback);
}
