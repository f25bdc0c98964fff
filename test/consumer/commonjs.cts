import type { PromisePool } from 'paceline';
import type { GateLaw } from 'paceline/testing';

import paceline = require('paceline');
import testing = require('paceline/testing');

export const pool: PromisePool = new paceline.PromisePool({ concurrency: 2 });
export const laws: readonly GateLaw[] = testing.gateLaws(() => ({ gate: pool, capacity: 2 }));
