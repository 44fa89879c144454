// Plays the scenario of tests/foreign/scenario.py with grpc-java.

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.runyard.v1.AgentServiceGrpc;
import com.runyard.v1.CreateAgentRequest;
import com.runyard.v1.GetAgentRequest;
import com.runyard.v1.ListAgentsRequest;
import com.runyard.v1.Refusal;
import com.runyard.v1.RunEvent;
import com.runyard.v1.RunServiceGrpc;
import com.runyard.v1.RunStatus;
import com.runyard.v1.StartRunRequest;
import com.runyard.v1.StartRunResponse;
import com.runyard.v1.StopRunRequest;
import com.runyard.v1.StreamRunRequest;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;

public final class Client {
    static void say(Object... words) {
        StringBuilder line = new StringBuilder();
        for (Object word : words) {
            line.append(line.length() == 0 ? "" : " ").append(word);
        }
        System.out.println(line);
    }

    /** The events of a run that this client has received so far. */
    static final class Progress {
        final String id;
        long sequence = 0;
        final StringBuilder text = new StringBuilder();
        RunStatus end = null;

        Progress(String id) {
            this.id = id;
        }

        StreamRunRequest nextEvents() {
            return StreamRunRequest.newBuilder().setAgentRunId(id).setAfterSequence(sequence).build();
        }

        /** Records an event. Returns false for a heartbeat. */
        boolean take(RunEvent event) {
            sequence = Math.max(sequence, event.getSequence());
            switch (event.getEventCase()) {
                case EVENT_NOT_SET:
                    return false;
                case MESSAGE_DELTA:
                    text.append(event.getMessageDelta().getText());
                    break;
                case TOOL_CALL:
                    say("tool", event.getToolCall().getName(),
                        event.getToolCall().getArguments().getFieldsOrThrow("path").getStringValue());
                    break;
                case STATUS:
                    RunStatus status = event.getStatus().getStatus();
                    if (status != RunStatus.RUN_STATUS_RUNNING) {
                        end = status;
                    }
                    break;
                default:
                    break;
            }
            return true;
        }
    }

    static Metadata bearer(String token) {
        Metadata metadata = new Metadata();
        metadata.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
        return metadata;
    }

    static void refused(Runnable call) throws InvalidProtocolBufferException {
        try {
            call.run();
        } catch (StatusRuntimeException error) {
            StringBuilder words = new StringBuilder();
            for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
                if (detail.is(ErrorInfo.class)) {
                    words.append(" ").append(detail.unpack(ErrorInfo.class).getReason());
                } else if (detail.is(BadRequest.class)) {
                    detail.unpack(BadRequest.class).getFieldViolationsList()
                        .forEach(violation -> words.append(" field=").append(violation.getField()));
                } else if (detail.is(Refusal.class)) {
                    Refusal refusal = detail.unpack(Refusal.class);
                    words.append(" plan=").append(refusal.getTierName());
                    words.append(" ").append(refusal.getCurrentCount()).append("/").append(refusal.getLimit());
                }
            }
            say("refused", error.getStatus().getCode() + words.toString());
        }
    }

    /** Streams a run to its end. Opens a new stream whenever the stream breaks. */
    static void follow(RunServiceGrpc.RunServiceBlockingStub runs, Progress run) throws InterruptedException {
        while (run.end == null) {
            String code = "OK";
            try {
                for (Iterator<RunEvent> events = runs.streamRun(run.nextEvents()); events.hasNext(); ) {
                    if (run.take(events.next())) {
                        say("event", run.sequence);
                    }
                }
            } catch (StatusRuntimeException error) {
                code = error.getStatus().getCode().name();
            }
            if (run.end == null) {
                say("broken", code);
                Thread.sleep(200);
            }
        }
    }

    static void wholeRun(ManagedChannel channel) throws Exception {
        AgentServiceGrpc.AgentServiceBlockingStub strangers = AgentServiceGrpc.newBlockingStub(channel);
        Metadata caller = bearer(System.getenv("RUNYARD_TOKEN"));
        AgentServiceGrpc.AgentServiceBlockingStub agents = MetadataUtils.attachHeaders(strangers, caller);
        RunServiceGrpc.RunServiceBlockingStub runs = MetadataUtils.attachHeaders(RunServiceGrpc.newBlockingStub(channel), caller);

        refused(() -> MetadataUtils.attachHeaders(strangers, bearer("a.b.c")).listAgents(ListAgentsRequest.getDefaultInstance()));
        refused(() -> agents.getAgent(GetAgentRequest.newBuilder().setAgentId("nonsense").build()));
        refused(() -> agents.createAgent(CreateAgentRequest.newBuilder().setName("One more").build()));

        StartRunResponse started = runs.startRun(StartRunRequest.newBuilder().setPrompt(System.getenv("RUNYARD_PROMPT")).build());
        say("started", started.getStatus());
        Progress first = new Progress(started.getAgentRunId());
        follow(runs, first);
        say("text", first.text);
        say("ended", first.end);

        StartRunResponse slow = runs.startRun(StartRunRequest.newBuilder().setPrompt(System.getenv("RUNYARD_SLOW_PROMPT")).build());
        Progress second = new Progress(slow.getAgentRunId());
        try {
            runs.withDeadlineAfter(2, TimeUnit.SECONDS).streamRun(second.nextEvents()).forEachRemaining(second::take);
        } catch (StatusRuntimeException error) {
            say("deadline", error.getStatus().getCode());
        }

        // A blocking stream is cancelled through its context.
        Context.CancellableContext context = Context.current().withCancellation();
        try {
            Iterator<RunEvent> events = context.call(() -> runs.streamRun(new Progress(second.id).nextEvents()));
            events.next();
            context.cancel(null);
            events.forEachRemaining(event -> { });
        } catch (StatusRuntimeException error) {
            say("cancelled", error.getStatus().getCode());
        }

        runs.stopRun(StopRunRequest.newBuilder().setAgentRunId(second.id).build());
        runs.streamRun(second.nextEvents()).forEachRemaining(second::take);
        say("stopped", second.end);
    }

    public static void main(String[] arguments) throws Exception {
        String address = System.getenv("RUNYARD_SERVER").replace("http://", "");
        // Without keepalive, a client does not notice that the network drops all packets. The minimum ping interval of
        // grpc-java is 10 seconds.
        ManagedChannel channel = NettyChannelBuilder.forTarget(address)
            .usePlaintext()
            .keepAliveTime(10, TimeUnit.SECONDS)
            .keepAliveTimeout(5, TimeUnit.SECONDS)
            .build();
        try {
            wholeRun(channel);
        } finally {
            channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
        }
    }
}
