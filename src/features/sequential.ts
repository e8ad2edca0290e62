import type { Module, ModuleTree } from './modules.js';

/** Children of the root's Sequentials, and how those were recognised. */
export interface SequentialModules {
  readonly paths: readonly string[];
  /** Whether class names told, or only that all of a module's children are numbered. */
  readonly certain: boolean;
}

/** The modules that flattening renames: children of a direct child of the root that is `nn.Sequential`. */
export function sequentialModules(tree: ModuleTree): SequentialModules {
  const certain = tree.classes.size > 0;
  const paths: string[] = [];
  for (const child of tree.root.children)
    if (isSequential(tree, child, certain)) for (const { path } of child.children) paths.push(path);
  return { paths, certain };
}

function isSequential(tree: ModuleTree, module: Module, certain: boolean): boolean {
  if (certain) return tree.classes.get(module.path) === 'torch.nn.modules.container.Sequential';
  return module.children.length > 0 && module.children.every(({ name }) => /^\d+$/.test(name));
}

/** timm's spelling: one level, `features.1` -> `features_1`. */
export function flattenedName(path: string): string {
  return path.replace('.', '_');
}
