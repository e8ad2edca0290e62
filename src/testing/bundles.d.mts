/** The folder of programs bundled from the sources, beside each other; made again when a source has changed. */
export function bundled(name: string, entryPoints: { readonly [output: string]: string }): Promise<string>;

/** `bundled` for the child processes of the command line; the worker of a batch has the faults that tests inject. */
export function bundledChildren(): Promise<string>;

/** The folder of the command line as it is built, `featx.cjs`, beside these child processes. */
export function builtCli(): Promise<string>;
