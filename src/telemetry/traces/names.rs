//! Names of attributes, from the OpenTelemetry semantic conventions 1.41.0. The conventions for generative AI are not
//! stable; 1.41.0 was their last release before they moved to the repository semantic-conventions-genai.

pub(super) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.41.0";

pub(super) const ERROR_TYPE: &str = "error.type";
pub(super) const HTTP_REQUEST_METHOD: &str = "http.request.method";
pub(super) const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
pub(super) const RPC_METHOD: &str = "rpc.method";
pub(super) const SERVER_ADDRESS: &str = "server.address";
pub(super) const SERVER_PORT: &str = "server.port";
pub(super) const SERVICE_VERSION: &str = "service.version";
pub(super) const URL_PATH: &str = "url.path";

pub(super) const GEN_AI_AGENT_ID: &str = "gen_ai.agent.id";
pub(super) const GEN_AI_CONVERSATION_ID: &str = "gen_ai.conversation.id";
pub(super) const GEN_AI_OPERATION_NAME: &str = "gen_ai.operation.name";
pub(super) const GEN_AI_OUTPUT_TYPE: &str = "gen_ai.output.type";
pub(super) const GEN_AI_PROVIDER_NAME: &str = "gen_ai.provider.name";
pub(super) const GEN_AI_REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
pub(super) const GEN_AI_REQUEST_MODEL: &str = "gen_ai.request.model";
pub(super) const GEN_AI_RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub(super) const GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub(super) const GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
pub(super) const GEN_AI_USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(super) const GEN_AI_USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";

// Attributes of Runyard.
pub(super) const ACCOUNT_ID: &str = "runyard.account.id";
pub(super) const RUN_EPOCH: &str = "runyard.run.epoch";
pub(super) const RUN_ID: &str = "runyard.run.id";
pub(super) const RUN_STATUS: &str = "runyard.run.status";
