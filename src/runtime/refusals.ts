/** What ONNX Runtime says when it refuses a model, and what to do about it; the first that fits. */
const REFUSALS: readonly (readonly [said: RegExp, hint: (found: readonly string[]) => string])[] = [
  [
    /([\w.-]+):(\w+)\(-?\d+\) is not a registered function\/op/,
    ([, domain, op]) =>
      `${op} is an operator of ${domain}, whose library ONNX Runtime for Node.js does not load: take features in front of it, or make them a cut and run what lies behind where the library is`,
  ],
  [
    /No Op registered for (\w+) with domain_version of (\d+)/,
    ([, op, version]) =>
      `opset ${version} has no ${op}: convert the model with onnx.version_converter, or take features in front of it`,
  ],
  [
    /Could not find an implementation for (\w+)\((\d+)\)/,
    ([, op, version]) =>
      `no kernel runs ${op} of opset ${version} for these dtypes here: export the model with another opset or as float32, or take features in front of it`,
  ],
];

/** What to do about a refusal; undefined if nothing is known. */
export function refusalHint(reason: string): string | undefined {
  for (const [said, hint] of REFUSALS) {
    const found = said.exec(reason);
    if (found !== null) return hint(found);
  }
  return undefined;
}
