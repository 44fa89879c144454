# Plays the scenario of tests/foreign/scenario.py with Ruby's grpc.

require "grpc"
# Adds `unpack` to Any.
require "google/protobuf/well_known_types"
require "google/rpc/error_details_pb"
require "google/rpc/status_pb"
require "runyard/v1/agents_services_pb"
require "runyard/v1/errors_pb"
require "runyard/v1/runs_services_pb"

include Runyard::V1

# Without keepalive, a client does not notice that the network drops all packets. By default, the library also stops
# pinging after two pings if it sends no data. The value 0 removes this limit for a client that only reads a stream.
OPTIONS = {
  "grpc.keepalive_time_ms" => 10_000,
  "grpc.keepalive_timeout_ms" => 5_000,
  "grpc.http2.max_pings_without_data" => 0
}.freeze
SERVER = ENV.fetch("RUNYARD_SERVER").delete_prefix("http://")
CALLER = { "authorization" => "Bearer #{ENV.fetch('RUNYARD_TOKEN')}" }.freeze
RUNS = RunService::Stub.new(SERVER, :this_channel_is_insecure, channel_args: OPTIONS)
AGENTS = AgentService::Stub.new(SERVER, :this_channel_is_insecure, channel_args: OPTIONS)
TERMINAL = %i[RUN_STATUS_COMPLETED RUN_STATUS_FAILED RUN_STATUS_STOPPED].freeze

$stdout.sync = true

def say(*words)
  puts words.join(" ")
end

def code_of(error)
  GRPC::Core::StatusCodes.constants.find { |name| GRPC::Core::StatusCodes.const_get(name) == error.code }
end

# The events of a run that this client has received so far.
class Progress
  attr_reader :id, :sequence, :text, :end

  def initialize(id)
    @id = id
    @sequence = 0
    @text = +""
  end

  # Records an event. Returns false for a heartbeat.
  def take(event)
    return false if event.event.nil?

    @sequence = event.sequence
    case event.event
    when :message_delta
      @text << event.message_delta.text
    when :tool_call
      say "tool", event.tool_call.name, event.tool_call.arguments.fields["path"].string_value
    when :status
      @end = event.status.status if TERMINAL.include?(event.status.status)
    end
    true
  end

  # Streams the events that the client has not received yet. Records each event and then yields it.
  def stream(**options)
    request = StreamRunRequest.new(agent_run_id: @id, after_sequence: @sequence)
    call = RUNS.stream_run(request, metadata: CALLER, return_op: true, **options)
    call.execute.each { |event| yield call if take(event) && block_given? }
  end
end

def refused
  yield
rescue GRPC::BadStatus => error
  words = [code_of(error)]
  error.to_rpc_status.details.each do |detail|
    if detail.is(Google::Rpc::ErrorInfo)
      words << detail.unpack(Google::Rpc::ErrorInfo).reason
    elsif detail.is(Google::Rpc::BadRequest)
      words += detail.unpack(Google::Rpc::BadRequest).field_violations.map { |violation| "field=#{violation.field}" }
    elsif detail.is(Refusal)
      refusal = detail.unpack(Refusal)
      words << "plan=#{refusal.tier_name} #{refusal.current_count}/#{refusal.limit}"
    end
  end
  say "refused", *words
end

# Streams a run to its end. Opens a new stream whenever the stream breaks.
def follow(run)
  until run.end
    code = "OK"
    begin
      run.stream { say "event", run.sequence }
    rescue GRPC::BadStatus => error
      code = code_of(error)
    end
    next if run.end

    say "broken", code
    sleep 0.2
  end
end

refused { AGENTS.list_agents(ListAgentsRequest.new, metadata: { "authorization" => "Bearer a.b.c" }) }
refused { AGENTS.get_agent(GetAgentRequest.new(agent_id: "nonsense"), metadata: CALLER) }
refused { AGENTS.create_agent(CreateAgentRequest.new(name: "One more"), metadata: CALLER) }

started = RUNS.start_run(StartRunRequest.new(prompt: ENV.fetch("RUNYARD_PROMPT")), metadata: CALLER)
say "started", started.status
run = Progress.new(started.agent_run_id)
follow(run)
say "text", run.text
say "ended", run.end

started = RUNS.start_run(StartRunRequest.new(prompt: ENV.fetch("RUNYARD_SLOW_PROMPT")), metadata: CALLER)
run = Progress.new(started.agent_run_id)
begin
  # The deadline is a point in time, not a duration.
  run.stream(deadline: Time.now + 2)
rescue GRPC::BadStatus => error
  say "deadline", code_of(error)
end

begin
  Progress.new(run.id).stream(&:cancel)
rescue GRPC::BadStatus => error
  say "cancelled", code_of(error)
end

RUNS.stop_run(StopRunRequest.new(agent_run_id: run.id), metadata: CALLER)
run.stream
say "stopped", run.end
