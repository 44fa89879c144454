//! Phrases and codes in providers' messages that identify a failure, because the HTTP status is ambiguous.

/// Kind of a failure according to the provider's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The API key is wrong, expired or disabled.
    Credentials,
    /// The provider or its moderation blocked the prompt or the answer.
    Blocked,
    /// The provider does not serve the country of this server.
    Place,
    Quota,
    /// Credit or quota is used up. If the provider sends a retry delay, this is only a rate limit.
    Plan,
    UnknownModel,
    /// The server is overloaded or still loading its model.
    Busy,
    Refused,
}

/// Lower-case phrases, each with the kind of failure. The first match decides.
const PHRASES: &[(&str, Kind)] = &[
    // Moderation comes first, because some moderation errors also contain "permission" or "invalid request".
    ("content_filter", Kind::Blocked),
    ("content filter", Kind::Blocked),
    ("content management policy", Kind::Blocked),
    ("responsibleaipolicyviolation", Kind::Blocked),
    ("content_policy_violation", Kind::Blocked),
    ("contentpolicyviolation", Kind::Blocked),
    ("content policy", Kind::Blocked),
    ("usage policy", Kind::Blocked),
    ("usage policies", Kind::Blocked),
    ("data_inspection_failed", Kind::Blocked),
    ("datainspectionfailed", Kind::Blocked),
    ("inappropriate content", Kind::Blocked),
    ("flagged_input", Kind::Blocked),
    ("flagged by", Kind::Blocked),
    ("requires moderation", Kind::Blocked),
    ("moderation_blocked", Kind::Blocked),
    ("blockreason", Kind::Blocked),
    ("prompt was blocked", Kind::Blocked),
    ("blocked by", Kind::Blocked),
    ("safety system", Kind::Blocked),
    ("sensitive content", Kind::Blocked),
    ("contentfilter", Kind::Blocked),
    ("sensitive words", Kind::Blocked),
    ("high risk", Kind::Blocked),
    ("content exists risk", Kind::Blocked),
    ("unsupported_country", Kind::Place),
    ("region, or territory not supported", Kind::Place),
    ("location is not supported", Kind::Place),
    ("not available in your country", Kind::Place),
    ("not available in your region", Kind::Place),
    ("api_key_invalid", Kind::Credentials),
    ("api key not valid", Kind::Credentials),
    ("api key expired", Kind::Credentials),
    ("api_key_service_blocked", Kind::Credentials),
    ("invalid_api_key", Kind::Credentials),
    ("invalid api key", Kind::Credentials),
    ("invalid api-key", Kind::Credentials),
    ("invalid x-api-key", Kind::Credentials),
    ("incorrect api key", Kind::Credentials),
    ("invalid authentication", Kind::Credentials),
    ("authentication_error", Kind::Credentials),
    ("authentication fails", Kind::Credentials),
    ("authenticationerror", Kind::Credentials),
    ("invalid token", Kind::Credentials),
    ("no auth credentials", Kind::Credentials),
    ("unauthenticated", Kind::Credentials),
    ("insufficient_quota", Kind::Quota),
    ("insufficient_balance", Kind::Quota),
    ("insufficient balance", Kind::Quota),
    ("insufficient credit", Kind::Quota),
    ("insufficient_credit", Kind::Quota),
    ("insufficient account balance", Kind::Quota),
    ("not enough credit", Kind::Quota),
    ("more credits", Kind::Quota),
    ("any credits", Kind::Quota),
    ("credit balance is too low", Kind::Quota),
    ("balance is too low", Kind::Quota),
    ("balance is insufficient", Kind::Quota),
    ("out of credits", Kind::Quota),
    ("exceeded_current_quota", Kind::Quota),
    ("billing_hard_limit", Kind::Quota),
    ("billing_not_active", Kind::Quota),
    ("billing hard limit", Kind::Quota),
    ("spending limit", Kind::Quota),
    ("spend limit", Kind::Quota),
    ("budget has been exceeded", Kind::Quota),
    ("budget_exceeded", Kind::Quota),
    ("exceeded budget", Kind::Quota),
    ("arrearage", Kind::Quota),
    ("payment required", Kind::Quota),
    ("used up your points", Kind::Quota),
    ("monthly included credits", Kind::Quota),
    ("perday", Kind::Quota),
    ("余额不足", Kind::Quota),
    ("欠费", Kind::Quota),
    ("exceeded your current quota", Kind::Plan),
    ("model_not_found", Kind::UnknownModel),
    ("model not found", Kind::UnknownModel),
    ("model_not_exist", Kind::UnknownModel),
    ("model not exist", Kind::UnknownModel),
    ("modelnotfound", Kind::UnknownModel),
    ("no such model", Kind::UnknownModel),
    ("unknown model", Kind::UnknownModel),
    ("unknown_model", Kind::UnknownModel),
    ("invalid_model", Kind::UnknownModel),
    ("invalid model", Kind::UnknownModel),
    ("not a valid model", Kind::UnknownModel),
    ("model identifier is invalid", Kind::UnknownModel),
    ("not found the model", Kind::UnknownModel),
    ("deploymentnotfound", Kind::UnknownModel),
    ("could not find model", Kind::UnknownModel),
    ("model is not supported", Kind::UnknownModel),
    ("model does not exist", Kind::UnknownModel),
    // Anthropic's message for an unknown model consists of `model: ` and the name.
    ("\"message\":\"model: ", Kind::UnknownModel),
    ("loading model", Kind::Busy),
    ("model is loading", Kind::Busy),
    ("is currently loading", Kind::Busy),
    ("model is being loaded", Kind::Busy),
    ("still loading", Kind::Busy),
    ("loading_model", Kind::Busy),
    ("overloaded", Kind::Busy),
    ("rate_limit", Kind::Busy),
    ("rate limit", Kind::Busy),
    ("ratelimit", Kind::Busy),
    ("too many requests", Kind::Busy),
    ("server is busy", Kind::Busy),
    ("try again later", Kind::Busy),
    ("temporarily unavailable", Kind::Busy),
    // General error codes decide only if no other phrase occurs.
    ("unexpected endpoint", Kind::Refused),
    ("permission_error", Kind::Credentials),
    ("permission_denied", Kind::Credentials),
    ("invalid_request_error", Kind::Refused),
    ("badrequesterror", Kind::Refused),
    ("not_found_error", Kind::Refused),
    ("invalid_argument", Kind::Refused),
    ("failed_precondition", Kind::Refused),
];

pub(super) fn kind(report: &str) -> Option<Kind> {
    let phrase = PHRASES
        .iter()
        .find(|(phrase, _)| report.contains(phrase))
        .map(|(_, kind)| *kind);
    // A name can split the phrase, as in "model x not found".
    let names_model = report.contains("model")
        && (report.contains("does not exist") || report.contains("not found") || report.contains("is not available"));
    match phrase {
        Some(Kind::Busy | Kind::Refused) | None if names_model => Some(Kind::UnknownModel),
        phrase => phrase,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_providers_are_told_apart() {
        let table = [
            ("incorrect api key provided: sk-x", Some(Kind::Credentials)),
            (
                "your credit balance is too low to access the anthropic api",
                Some(Kind::Quota),
            ),
            (
                "the model `gpt-9` does not exist or you do not have access to it.",
                Some(Kind::UnknownModel),
            ),
            (
                "model 'llama9' not found, try pulling it first",
                Some(Kind::UnknownModel),
            ),
            ("foo is not a valid model id", Some(Kind::UnknownModel)),
            (
                "{\"error\":{\"code\":503,\"message\":\"loading model\"}}",
                Some(Kind::Busy),
            ),
            (
                "the response was filtered due to the prompt triggering azure openai's content management policy",
                Some(Kind::Blocked),
            ),
            ("messages: field required", None),
        ];
        for (report, expected) in table {
            assert_eq!(kind(report), expected, "{report}");
        }
    }
}
