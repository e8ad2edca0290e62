// npx vite build
import { vite as featx } from 'featx/unplugin';
import { cuts } from './cuts.js';

export default { build: { lib: { entry: 'app.js', formats: ['es'], fileName: 'app' } }, plugins: [featx({ cuts })] };
