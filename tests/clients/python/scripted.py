"""A scripted gRPC server with one run, which adds events and fails calls at the moments that a test chooses."""

import threading
from concurrent import futures

import grpc
from runyard import _methods as methods
from runyard._proto import events_pb2, inputs_pb2, runs_pb2

RUN = "run"
ENDED = (events_pb2.RUN_STATUS_COMPLETED, events_pb2.RUN_STATUS_FAILED, events_pb2.RUN_STATUS_STOPPED)
WAIT = 60


class Scripted:
    def __init__(self):
        self.changed = threading.Condition()
        self.events = []
        self.answers = []
        self.decided = {}
        self.calls = []
        # Maps a method to the gRPC codes with which its next calls fail.
        self.failures = {}
        # The stream breaks once after this many events.
        self.cut_after = None
        # Each stream ends without an error before it would send an event with a sequence in this set, which it leaves.
        self.ends_before = set()
        # Each stream ends at once without an error.
        self.always_ends = False
        self.started = None
        self.output = None
        self.server = grpc.server(futures.ThreadPoolExecutor(16))
        self.server.add_generic_rpc_handlers((Handler(self),))
        self.url = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def close(self):
        self.server.stop(0).wait()

    def add(self, **event):
        with self.changed:
            self.events.append(events_pb2.RunEvent(agent_run_id=RUN, sequence=len(self.events) + 1, **event))
            self.changed.notify_all()

    def ask(self, input_id, name, arguments=None, kind=events_pb2.INPUT_KIND_CLIENT_TOOL):
        requested = events_pb2.InputRequested(
            input_id=input_id, kind=kind, tool_call_id=f"call-{input_id}", name=name, message=f"Run {name}?"
        )
        requested.arguments.update(arguments or {})
        self.add(input_requested=requested)

    def status(self, status):
        self.add(status=events_pb2.StatusChanged(status=f"RUN_STATUS_{status.upper()}"))

    def complete(self, output):
        changed = events_pb2.StatusChanged(status="RUN_STATUS_COMPLETED")
        changed.output.update(output)
        self.output = changed.output
        self.add(status=changed)

    def wait(self, reached):
        with self.changed:
            if not self.changed.wait_for(reached, WAIT):
                raise TimeoutError(f"events {self.events}, answers {self.answers}")

    def end_after(self, answers, status="completed"):
        """Ends the run as soon as this number of inputs is answered."""

        def end():
            self.wait(lambda: len(self.answers) >= answers)
            self.status(status)

        thread = threading.Thread(target=end, daemon=True)
        thread.start()

    def current(self):
        found = [event.status.status for event in self.events if event.WhichOneof("event") == "status"]
        return found[-1] if found else events_pb2.RUN_STATUS_RUNNING

    def input(self, input_id):
        decided = self.decided.get(input_id)
        fields = {"decision": decided.decision, "text": decided.text, "is_error": decided.is_error} if decided else {}
        return inputs_pb2.Input(input_id=input_id, agent_run_id=RUN, **fields)

    def pending(self):
        asked = [event.input_requested for event in self.events if event.WhichOneof("event") == "input_requested"]
        return [
            inputs_pb2.Input(
                input_id=one.input_id, agent_run_id=RUN, kind=one.kind, name=one.name, arguments=one.arguments
            )
            for one in asked
            if one.input_id not in self.decided
        ]

    def respond(self, name, request):
        match name:
            case "ListModes":
                return runs_pb2.ListModesResponse()
            case "StartRun":
                self.started = request
                return runs_pb2.StartRunResponse(agent_run_id=RUN, thread_id="thread")
            case "GetRun":
                return runs_pb2.Run(agent_run_id=RUN, thread_id="thread", status=self.current(), output=self.output)
            case "GetInput":
                return self.input(request.input_id)
            case "ListPendingInputs":
                return inputs_pb2.ListPendingInputsResponse(inputs=self.pending())
            case "AnswerInput":
                for answer in request.answers:
                    if answer.input_id not in self.decided:
                        self.decided[answer.input_id] = answer
                        answered = events_pb2.InputAnswered(
                            input_id=answer.input_id, decision=answer.decision, text=answer.text
                        )
                        self.add(input_answered=answered)
                        with self.changed:
                            self.answers.append(answer)
                            self.changed.notify_all()
                answered = [self.input(answer.input_id) for answer in request.answers]
                return inputs_pb2.AnswerInputResponse(inputs=answered, status=events_pb2.RUN_STATUS_RUNNING)
        raise AssertionError(f"unexpected call of {name}")

    def stream(self, after, context):
        while not self.always_ends:
            if after + 1 in self.ends_before:
                self.ends_before.discard(after + 1)
                return
            self.wait(lambda sent=after: len(self.events) > sent)
            event = self.events[after]
            after += 1
            yield event
            if event.WhichOneof("event") == "status" and event.status.status in ENDED:
                return
            if self.cut_after == after:
                self.cut_after = None
                context.abort(grpc.StatusCode.UNAVAILABLE, "cut")


class Handler(grpc.GenericRpcHandler):
    def __init__(self, scripted):
        self.scripted = scripted
        known = [method for method in vars(methods).values() if isinstance(method, methods.Method)]
        self.methods = {method.path: method for method in known}

    def service(self, call):
        method = self.methods[call.method]
        name = method.name.partition(".")[2]

        def unary(request, context):
            self.scripted.calls.append(name)
            failures = self.scripted.failures.get(name)
            if failures:
                context.abort(failures.pop(0), "scripted")
            return self.scripted.respond(name, request)

        def stream(request, context):
            self.scripted.calls.append(name)
            yield from self.scripted.stream(request.after_sequence, context)

        codec = {"request_deserializer": method.request.FromString, "response_serializer": method.response.SerializeToString}
        if name == "StreamRun":
            return grpc.unary_stream_rpc_method_handler(stream, **codec)
        return grpc.unary_unary_rpc_method_handler(unary, **codec)
