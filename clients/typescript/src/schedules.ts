// Schedules: runs that start at certain times.

import type { CallOptions, Channel } from "./channel.js";
import {
  ScheduleService,
  UpdateScheduleRequestSchema,
  type CreateScheduleRequest,
  type ListScheduleRunsRequest,
  type ListSchedulesRequest,
  type Schedule as WireSchedule,
  type ScheduleRun as WireRun,
  type UpdateScheduleRequest,
} from "./generated/runyard/v1/schedules_pb.js";
import { newId } from "./ids.js";
import { maskOf } from "./mask.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";

/** A prompt that is run at certain times. */
export interface Schedule extends Plain<WireSchedule> {}

/** An occurrence of a schedule. */
export interface ScheduleRun extends Plain<WireRun> {}

export type ScheduleChanges = Omit<Input<UpdateScheduleRequest>, "scheduleId" | "updateMask">;

export class Schedules {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Creates a schedule. `cron` has five fields; `timeZone` is an IANA name and defaults to UTC. */
  create(
    schedule: Input<CreateScheduleRequest> & { name: string; cron: string; prompt: string },
    options?: CallOptions,
  ): Promise<Schedule> {
    return this.#channel.call(ScheduleService.method.createSchedule, schedule, options);
  }

  get(scheduleId: string, options?: CallOptions): Promise<Schedule> {
    return this.#channel.callSafely(ScheduleService.method.getSchedule, { scheduleId }, options);
  }

  /** Lists schedules, newest first. */
  list(query: Input<ListSchedulesRequest> & CallOptions = {}): Listing<Schedule> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, pageToken };
      const page = await this.#channel.callSafely(ScheduleService.method.listSchedules, request, { signal, timeoutMs });
      return { items: page.schedules, nextPageToken: page.nextPageToken };
    });
  }

  update(scheduleId: string, changes: ScheduleChanges, options?: CallOptions): Promise<Schedule> {
    const request = { ...changes, scheduleId, updateMask: maskOf(UpdateScheduleRequestSchema, changes) };
    return this.#channel.call(ScheduleService.method.updateSchedule, request, options);
  }

  async delete(scheduleId: string, options?: CallOptions): Promise<void> {
    await this.#channel.call(ScheduleService.method.deleteSchedule, { scheduleId }, options);
  }

  pause(scheduleId: string, options?: CallOptions): Promise<Schedule> {
    return this.#channel.call(ScheduleService.method.pauseSchedule, { scheduleId }, options);
  }

  /** Resumes a schedule with its next occurrence. */
  resume(scheduleId: string, options?: CallOptions): Promise<Schedule> {
    return this.#channel.call(ScheduleService.method.resumeSchedule, { scheduleId }, options);
  }

  /** Starts a run now. Calls with the same `idempotencyKey` start only one run. The default is a new UUID. */
  runNow(scheduleId: string, options: CallOptions & { idempotencyKey?: string | undefined } = {}): Promise<ScheduleRun> {
    const { idempotencyKey, ...call } = options;
    const request = { scheduleId, requestId: idempotencyKey ?? newId() };
    return this.#channel.call(ScheduleService.method.runScheduleNow, request, call);
  }

  /** Lists occurrences, newest first. */
  runs(
    scheduleId: string,
    query: Omit<Input<ListScheduleRunsRequest>, "scheduleId"> & CallOptions = {},
  ): Listing<ScheduleRun> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, scheduleId, pageToken };
      const page = await this.#channel.callSafely(ScheduleService.method.listScheduleRuns, request, { signal, timeoutMs });
      return { items: page.runs, nextPageToken: page.nextPageToken };
    });
  }
}
