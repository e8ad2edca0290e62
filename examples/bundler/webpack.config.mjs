// npx webpack -c webpack.config.mjs
import { webpack as featx } from 'featx/unplugin';
import { cuts } from './cuts.js';

export default { mode: 'production', entry: './app.js', plugins: [featx({ cuts })] };
