// Inputs: what waiting runs ask of people and programs.

import type { CallOptions, Channel } from "./channel.js";
import {
  InputService,
  type AnswerInputResponse,
  type Input as WireInput,
  type InputAnswer as WireAnswer,
  type ListPendingInputsRequest,
} from "./generated/runyard/v1/inputs_pb.js";
import { Listing } from "./pages.js";
import type { Input, Plain } from "./plain.js";

/** An input that a run needs or has needed. */
export interface RunInput extends Plain<WireInput> {}
/** An answer to an input: a decision and, depending on it, edited arguments or a text. */
export type InputAnswer = Input<WireAnswer> & { inputId: string; decision: NonNullable<Input<WireAnswer>["decision"]> };
/** The answered inputs, and the status of their run. */
export interface AnsweredInputs extends Plain<AnswerInputResponse> {}

export class Inputs {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** Answers inputs of a run. An input that already has a decision keeps it. */
  answer(agentRunId: string, answers: InputAnswer | readonly InputAnswer[], options?: CallOptions): Promise<AnsweredInputs> {
    const request = { agentRunId, answers: Array.isArray(answers) ? answers : [answers] };
    return this.#channel.callSafely(InputService.method.answerInput, request, options);
  }

  /** Lists the pending inputs of the caller's runs, oldest first. */
  listPending(query: Input<ListPendingInputsRequest> & CallOptions = {}): Listing<RunInput> {
    const { signal, timeoutMs, ...fields } = query;
    return new Listing(async (pageToken = fields.pageToken) => {
      const request = { ...fields, pageToken };
      const page = await this.#channel.callSafely(InputService.method.listPendingInputs, request, { signal, timeoutMs });
      return { items: page.inputs, nextPageToken: page.nextPageToken };
    });
  }

  /** Returns an input with its decision, if it has one. */
  get(inputId: string, options?: CallOptions): Promise<RunInput> {
    return this.#channel.callSafely(InputService.method.getInput, { inputId }, options);
  }
}
