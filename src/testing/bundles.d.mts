/** The folder of programs bundled from the sources, beside each other; made again when a source has changed. */
export function bundled(name: string, entryPoints: { readonly [output: string]: string }): Promise<string>;

/** `bundled` for the command line with its child processes; its worker has the faults that tests inject. */
export function bundledCli(): Promise<string>;
