import { serve } from './worker.js';

serve(process.argv[2], process.argv[3]);
