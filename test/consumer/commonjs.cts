import type { PromisePool } from 'paceline';

import paceline = require('paceline');

export const pool: PromisePool = new paceline.PromisePool({ concurrency: 2 });
