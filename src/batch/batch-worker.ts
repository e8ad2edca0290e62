import { serve } from './worker-main.js';

serve();
