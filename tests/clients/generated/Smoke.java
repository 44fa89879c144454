// A smoke test of the generated Java code: an agent, a run, its events, a file, and an error with its details.

import com.google.api.HttpBody;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import com.runyard.v1.Agent;
import com.runyard.v1.AgentServiceGrpc;
import com.runyard.v1.CreateAgentRequest;
import com.runyard.v1.File;
import com.runyard.v1.ListFilesRequest;
import com.runyard.v1.ReadFileRequest;
import com.runyard.v1.RunEvent;
import com.runyard.v1.RunServiceGrpc;
import com.runyard.v1.RunStatus;
import com.runyard.v1.GetRunRequest;
import com.runyard.v1.Run;
import com.runyard.v1.SandboxServiceGrpc;
import com.runyard.v1.StartRunRequest;
import com.runyard.v1.StartRunResponse;
import com.runyard.v1.StreamRunRequest;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;

public final class Smoke {
    public static void main(String[] arguments) throws Exception {
        Metadata caller = new Metadata();
        caller.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + System.getenv("RUNYARD_TOKEN"));
        String address = System.getenv("RUNYARD_SERVER").replace("http://", "");
        ManagedChannel channel = NettyChannelBuilder.forTarget(address).usePlaintext().build();
        try {
            AgentServiceGrpc.AgentServiceBlockingStub agents = MetadataUtils.attachHeaders(AgentServiceGrpc.newBlockingStub(channel), caller);
            RunServiceGrpc.RunServiceBlockingStub runs = MetadataUtils.attachHeaders(RunServiceGrpc.newBlockingStub(channel), caller);
            SandboxServiceGrpc.SandboxServiceBlockingStub sandboxes =
                MetadataUtils.attachHeaders(SandboxServiceGrpc.newBlockingStub(channel), caller);

            Agent agent = agents.createAgent(CreateAgentRequest.newBuilder().setName("Java").build());
            System.out.println("agent " + agent.getName() + " " + agent.getCurrentVersion().getVersionName());

            StartRunResponse started = runs.startRun(
                StartRunRequest.newBuilder()
                    .setPrompt("say: Hello from Java.\nwrite: output/java.txt | made for Java")
                    .setAgentId(agent.getAgentId())
                    .build());
            StringBuilder text = new StringBuilder();
            long cursor = 0;
            RunStatus end = RunStatus.RUN_STATUS_UNSPECIFIED;
            Iterator<RunEvent> events =
                runs.withDeadlineAfter(60, TimeUnit.SECONDS).streamRun(StreamRunRequest.newBuilder().setAgentRunId(started.getAgentRunId()).build());
            while (events.hasNext()) {
                RunEvent event = events.next();
                if (event.getSequence() != ++cursor) {
                    throw new IllegalStateException("a gap at " + cursor);
                }
                if (event.hasMessageDelta()) {
                    text.append(event.getMessageDelta().getText());
                }
                if (event.hasStatus()) {
                    end = event.getStatus().getStatus();
                }
            }
            System.out.println("said " + text);
            System.out.println("ended " + end);

            Run run = runs.getRun(GetRunRequest.newBuilder().setAgentRunId(started.getAgentRunId()).build());
            for (File file : sandboxes.listFiles(ListFilesRequest.newBuilder().setSandboxId(run.getSandboxId()).setPath("output").build()).getFilesList()) {
                StringBuilder content = new StringBuilder();
                Iterator<HttpBody> pieces =
                    sandboxes.readFile(ReadFileRequest.newBuilder().setSandboxId(run.getSandboxId()).setPath(file.getPath()).build());
                pieces.forEachRemaining(piece -> content.append(piece.getData().toStringUtf8()));
                System.out.println("file " + file.getPath() + ": " + content);
            }

            try {
                agents.createAgent(CreateAgentRequest.getDefaultInstance());
                throw new IllegalStateException("an agent without a name was not refused");
            } catch (StatusRuntimeException refused) {
                Status status = StatusProto.fromThrowable(refused);
                System.out.println("refused " + refused.getStatus().getCode() + " "
                    + status.getDetails(0).unpack(ErrorInfo.class).getReason() + ": " + status.getMessage());
            }
        } finally {
            channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
        }
    }
}
