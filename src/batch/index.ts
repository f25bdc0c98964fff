export { batchAllSettled } from './batch-all-settled.js';
export { chunkAllSettled } from './chunk-all-settled.js';
export { MissingResultError } from './errors.js';
export { gatherAllSettled } from './gather-all-settled.js';
export type { ItemFailure } from './item-failure.js';
export { streamSettled } from './stream-settled.js';
export type {
  BatchContext,
  BatchFulfilled,
  BatchOptions,
  BatchProgress,
  BatchRejected,
  BatchReport,
  BatchResult,
  BatchSkipped,
  BatchStats,
  BatchStreamOptions,
  ChunkAnswer,
  ChunkContext,
  ChunkOptions,
  GatherOptions,
  GatherReport,
} from './types.js';
