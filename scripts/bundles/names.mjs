// Which program a command line loads.

/** Half of a short command's time is reading its own program: these get a bundle that holds nothing else. */
export const QUICK = ['inspect', 'extract'];

/** The bundle of a command. */
export const bundleOf = (command) => (QUICK.includes(command) ? `only-${command}` : 'every-command');
