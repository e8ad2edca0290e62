/** Locations to hold a gate for external data against. */

/** Places that are not plainly inside the directory of the model, on some operating system at least, and what is wrong with them. */
export const HOSTILE: { readonly [reason: string]: readonly string[] } = {
  'leaves the directory of the model': [
    '../secret.bin', '../../secret.bin', '../model/../secret.bin', 'a/../../secret.bin', 'a/./../../secret.bin', './../secret.bin', 'sub/../../secret.bin', 'sub/sub/../../../secret.bin', '..', '../', '../..',
    '..\\secret.bin', 'sub\\..\\..\\secret.bin', '.\\..\\secret.bin', 'sub/..\\../secret.bin', '..//secret.bin', './/../secret.bin', '..\\', '../w.bin', 'sub/../../model/w.bin',
    // A way inside where a backslash separates, and outside where it is a letter.
    'sub\\x/../../secret.bin', 'a\\b\\c/../../secret.bin',
  ],
  'is a directory': ['.', './', 'sub/..', 'sub/../', './.', '.\\', 'sub\\..', 'a/b/../..'],
  'is absolute': ['/etc/hostname', '//etc/hostname', '///etc/hostname', '/', '//server/share/w.bin', '\\etc\\hostname', '\\\\server\\share\\w.bin', '\\\\?\\C:\\w.bin', '\\\\.\\PhysicalDrive0', '\\??\\C:\\w.bin', '/w.bin'],
  'names a drive': ['C:\\w.bin', 'C:/w.bin', 'C:w.bin', 'c:..\\w.bin', 'z:'],
  'names a home directory': ['~/w.bin', '~', '~root/w.bin'],
  'is a URL': ['file:///etc/hostname', 'file://localhost/etc/hostname', 'http://example.com/w.bin', 'https://example.com/w.bin', 'data:,abc', 'FILE:w.bin', 's3://bucket/w.bin', 'svn+ssh://host/w.bin'],
  'names the device': [
    'CON', 'con', 'NUL', 'nul.bin', 'sub/aux', 'PRN.txt', 'COM1', 'com1 ', 'COM\u00b9', 'LPT9.bin', 'lpt\u00b2', 'CONIN$', 'conout$', 'sub\\nul', 'con/w.bin', 'sub/aux.d/w.bin', 'Com0', 'prn  .x', 'sub/lpt3:',
  ],
  "holds ':', an alternate stream on Windows": ['sub/w.bin:$DATA', 'sub/a:b/w.bin', '_:w', '1:w.bin', 'w bin:stream'],
  'has a part that ends in a dot or a space': ['w.bin.', 'w.bin ', 'sub./w.bin', 'sub /w.bin', '...', '.. /w.bin', 'sub\\w.bin.', '. /w.bin'],
  'holds a NUL byte': ['w.bin\0', '\0', 'w.bin\0.txt', '../secret.bin\0w.bin'],
  'is empty': [''],
  'is a memory address, not a file': ['*/_ORT_MEM_ADDR_/*', '_ort_mem_addr_', 'sub/_ORT_MEM_ADDR_'],
  'is a URL ': ['w.bin:stream'],
};
export const HOSTILE_LOCATIONS: readonly string[] = Object.values(HOSTILE).flat();

/** Locations that stay inside by their letters, and that links or the kind of file lead elsewhere. */
export const HOSTILE_LINKS = ['link-out.bin', 'dir-out/secret.bin', 'chain.bin', 'link-absolute.bin', 'directory', 'device', 'pipe', 'link-sibling.bin'];

export const IN_DIRECTORY = ['w.bin', './w.bin', 'sub/../w.bin', 'sub//inner.bin', 'sub\\inner.bin', 'link-inside.bin', 'sub/./inner.bin', 'sub/x/../inner.bin'];
