/**
 * Rules of CONTRIBUTING that oxlint has none for.
 * @see https://oxc.rs/docs/guide/usage/linter/js-plugins
 */

/** What stands right before an export says what it promises. */
const documentedExports = {
  create: (context) => ({
    ExportNamedDeclaration(node) {
      if (node.declaration === null || node.declaration === undefined) return;
      const name = node.declaration.id?.name ?? node.declaration.declarations?.[0]?.id?.name ?? 'this';
      const before = context.sourceCode.getCommentsBefore(node).at(-1);
      if (before === undefined || before.type !== 'Block' || !before.value.startsWith('*'))
        context.report({ node, message: `'${name}' is exported without a docblock: say its contract in one sentence` });
    },
  }),
};

const LONGEST_LINE = 120;

/** The formatter wraps code at 120 columns, and leaves comments as they are. */
const shortComments = {
  create: (context) => ({
    Program() {
      for (const comment of context.sourceCode.getAllComments()) {
        const { start } = comment.loc;
        const lines = context.sourceCode.lines.slice(start.line - 1, comment.loc.end.line);
        const long = lines.findIndex((line) => line.length > LONGEST_LINE && !/https?:\/\/\S+\s*$/.test(line));
        if (long >= 0)
          context.report({
            loc: comment.loc,
            message: `line ${start.line + long} is longer than ${LONGEST_LINE} columns`,
          });
      }
    },
  }),
};

/** What oxlint loads. */
export default {
  meta: { name: 'featx' },
  rules: { 'documented-exports': documentedExports, 'short-comments': shortComments },
};
