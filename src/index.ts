// Vocabulary

export type {
  Awaitable,
  CloseOptions,
  CloseReport,
  Executor,
  Key,
  KeyPart,
  Milliseconds,
  Settled,
  SignalOptions,
  Task,
  TaskContext,
  Verdict,
  WaitUntil,
} from './core/types.js';
export { classifyError, classifyResult } from './core/verdicts.js';
export type { DurationSummary } from './metrics/histogram.js';

// Errors

export { type ErrorByCode, isPacelineError, isRefusedError } from './catalogue/index.js';
export { ClosedError, type ErrorCode, PacelineError, RefusedError, TimeoutError } from './core/errors.js';

// Bound it

export { type AcquireRequest, type Gate, GateRefusedError, type LocalGate } from './core/gate.js';
export { createPermit, type Permit, type PermitOptions } from './core/permit.js';
export {
  type AdaptiveLimitOptions,
  aimdLimit,
  type ConcurrencyLimit,
  type LimitSample,
  type RateLimit,
  RateLimitedError,
  RateLimiter,
  type RateLimiterHooks,
  type RateLimiterMetrics,
  type RateLimiterOptions,
  RetryBudget,
  retryAfter,
  vegasLimit,
} from './limits/index.js';
export {
  type AcquireOptions,
  ClearedError,
  type ExecuteOptions,
  type GroupLimits,
  type ItemContext,
  type MapOptions,
  type PoolAbandonEvent,
  type PoolHooks,
  type PoolMetrics,
  type PoolQueueEvent,
  type PoolRefuseEvent,
  type PoolSettleEvent,
  type PoolStartEvent,
  PromisePool,
  type PromisePoolOptions,
  QueueFullError,
  QueueTimeoutError,
  type StreamOptions,
} from './pool/index.js';

// Share it

export {
  type CoalesceOptions,
  type CoalescerHitEvent,
  type CoalescerHooks,
  type CoalescerJoinEvent,
  type CoalescerLoadEndEvent,
  type CoalescerLoadEvent,
  type CoalescerMetrics,
  type LoadContext,
  type LoadInfo,
  ReaderBehindError,
  RequestCoalescer,
  type RequestCoalescerOptions,
  StreamCoalescer,
  type StreamCoalescerOptions,
  type StreamContext,
} from './coalescer/index.js';

// Batch it

export {
  type BatchContext,
  type BatchFulfilled,
  type BatchOptions,
  type BatchProgress,
  type BatchRejected,
  type BatchReport,
  type BatchResult,
  type BatchSkipped,
  type BatchStats,
  type BatchStreamOptions,
  batchAllSettled,
  type ChunkAnswer,
  type ChunkContext,
  type ChunkOptions,
  chunkAllSettled,
  type GatherOptions,
  type GatherReport,
  gatherAllSettled,
  type ItemFailure,
  MissingResultError,
  streamSettled,
} from './batch/index.js';

// Retry it

export {
  type AttemptContext,
  getRetryInfo,
  type RetryContext,
  type RetryEvent,
  type RetryGiveUpEvent,
  type RetryHooks,
  type RetryInfo,
  type RetryMetrics,
  type RetryOptions,
  RetryPolicy,
  type RetryPolicyOptions,
  type RetryRules,
  type RetryTimeouts,
  retryWithBackoff,
} from './retry/index.js';

// Stop calling what is down

export {
  type BreakerHooks,
  type BreakerMetrics,
  type BreakerState,
  type BreakerStateEvent,
  CircuitBreaker,
  type CircuitBreakerOptions,
  CircuitOpenError,
} from './breaker/index.js';

// All of it in front of one service

export {
  Upstream,
  type UpstreamBreakerOptions,
  type UpstreamCoalesceOptions,
  type UpstreamExecuteOptions,
  type UpstreamMetrics,
  type UpstreamOptions,
  type UpstreamPoolOptions,
} from './upstream/index.js';

// Detach it

export {
  type BackgroundContext,
  type BackgroundHooks,
  type BackgroundMetrics,
  type BackgroundSettleEvent,
  type BackgroundTaskOptions,
  BackgroundTasks,
  type BackgroundTasksOptions,
  fireAndForget,
  type TaskHandle,
  type TaskOutcome,
} from './background/index.js';

// See all of it

export { type Metrics, MetricsRegistry, type MetricsSnapshot, type MetricsSource } from './catalogue/index.js';
