//! Logins in Java's words: `sasl.jaas.config`.

use super::java_names::Translated;
use crate::job_error::JobError;
use crate::table::{OptionValue, Options};

/// `sasl.jaas.config`: a login module with its options.
pub(super) fn login(
    entry: &OptionValue,
    options: &Options,
    out: &mut Translated,
) -> Result<(), JobError> {
    let wrong = |reason: &str| {
        // Never the value: it holds the password.
        JobError::new(entry.at, format!("`{}` {reason}", entry.name)).help(
            "it looks like: org.apache.kafka.common.security.plain.PlainLoginModule required username=\"…\" password=\"…\";",
        )
    };
    let (module, settings) = parse_jaas(&entry.value).ok_or_else(|| wrong("cannot be read"))?;
    let setting = |name: &str| {
        settings
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    let mechanism = options
        .get("kafka.sasl.mechanism")
        .or_else(|| options.get("kafka.sasl.mechanisms"))
        .map(|text| text.trim().to_ascii_uppercase());
    let simple = module.rsplit('.').next().unwrap_or("");
    match simple {
        "PlainLoginModule" | "ScramLoginModule" => {
            let (Some(user), Some(password)) = (setting("username"), setting("password")) else {
                return Err(wrong("names no username and password"));
            };
            if mechanism.is_none() {
                if simple == "ScramLoginModule" {
                    return Err(wrong(
                        "is of SCRAM: set kafka.sasl.mechanism to SCRAM-SHA-256 or SCRAM-SHA-512 too",
                    ));
                }
                out.push("sasl.mechanisms", "PLAIN");
            }
            out.push("sasl.username", user);
            out.push("sasl.password", password);
        }
        "OAuthBearerLoginModule" => oauth(&settings, mechanism.is_none(), options, out),
        "Krb5LoginModule" => {
            return Err(wrong(
                "is of Kerberos, which is not compiled in; SASL is PLAIN, SCRAM and OAUTHBEARER",
            ));
        }
        _ => {
            return Err(wrong(
                "names an unknown login module; known are PlainLoginModule, ScramLoginModule and OAuthBearerLoginModule",
            ));
        }
    }
    Ok(())
}

fn oauth(
    settings: &[(String, String)],
    set_mechanism: bool,
    options: &Options,
    out: &mut Translated,
) {
    if set_mechanism {
        out.push("sasl.mechanisms", "OAUTHBEARER");
    }
    if options
        .get("kafka.sasl.oauthbearer.token.endpoint.url")
        .is_some()
        && options.get("kafka.sasl.oauthbearer.method").is_none()
        && options
            .get("kafka.sasl.login.callback.handler.class")
            .is_none()
    {
        out.push("sasl.oauthbearer.method", "oidc");
    }
    let mut extensions = Vec::new();
    for (name, value) in settings {
        match name.as_str() {
            "clientId" => out.push("sasl.oauthbearer.client.id", value),
            "clientSecret" => out.push("sasl.oauthbearer.client.secret", value),
            "scope" => out.push("sasl.oauthbearer.scope", value),
            "unsecuredLoginStringClaim_sub" => {
                out.push("enable.sasl.oauthbearer.unsecure.jwt", "true");
                out.push("sasl.oauthbearer.config", &format!("principal={value}"));
            }
            _ => {
                if let Some(extension) = name.strip_prefix("extension_") {
                    extensions.push(format!("{extension}={value}"));
                }
            }
        }
    }
    if !extensions.is_empty() {
        out.push("sasl.oauthbearer.extensions", &extensions.join(","));
    }
}

/// Login module and options of a JAAS line: `module flag name="value" ... ;`.
fn parse_jaas(text: &str) -> Option<(String, Vec<(String, String)>)> {
    let text = text.trim().strip_suffix(';').unwrap_or(text.trim());
    let (module, rest) = text.split_once(char::is_whitespace)?;
    let (flag, mut rest) = match rest.trim_start().split_once(char::is_whitespace) {
        Some((flag, rest)) => (flag, rest.trim_start()),
        None => (rest.trim(), ""),
    };
    if !["required", "requisite", "sufficient", "optional"]
        .iter()
        .any(|known| flag.eq_ignore_ascii_case(known))
    {
        return None;
    }
    let mut settings = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next()?;
        let (value, remaining) = if quote == '"' || quote == '\'' {
            quoted(&after[1..], quote)?
        } else {
            let end = after.find(char::is_whitespace).unwrap_or(after.len());
            (after[..end].to_owned(), &after[end..])
        };
        settings.push((name.trim().to_owned(), value));
        rest = remaining.trim_start();
    }
    Some((module.to_owned(), settings))
}

/// The text up to the closing quote, with backslash escapes undone, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        if c == '\\' {
            value.push(chars.next()?.1);
        } else if c == quote {
            return Some((value, &text[index + c.len_utf8()..]));
        } else {
            value.push(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::java_names::tests::{has, translated};

    const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"alice\" password=\"a \\\"b\\\" = c\";";

    #[test]
    fn a_plain_login_gives_name_password_and_mechanism() {
        let out = translated(&[("kafka.sasl.jaas.config", PLAIN)]).unwrap();
        assert!(has(&out, "sasl.username", "alice"));
        assert!(has(&out, "sasl.password", "a \"b\" = c"));
        assert!(has(&out, "sasl.mechanisms", "PLAIN"));
    }

    #[test]
    fn a_scram_login_needs_to_say_which() {
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required username='a' password='b';";
        assert!(translated(&[("kafka.sasl.jaas.config", scram)]).is_err());
        let out = translated(&[
            ("kafka.sasl.jaas.config", scram),
            ("kafka.sasl.mechanism", "SCRAM-SHA-512"),
        ])
        .unwrap();
        assert!(has(&out, "sasl.mechanisms", "SCRAM-SHA-512"));
        assert!(has(&out, "sasl.password", "b"));
    }

    #[test]
    fn a_broken_login_never_shows_its_text() {
        for broken in [
            "x",
            "Plain required username=\"s3cret",
            "a.Krb5LoginModule required x=s3cret;",
        ] {
            let error = translated(&[("kafka.sasl.jaas.config", broken)]).unwrap_err();
            assert!(!error.message.contains("s3cret"));
        }
    }

    #[test]
    fn an_oauth_login_with_an_endpoint_asks_for_tokens_by_oidc() {
        let out = translated(&[
            ("kafka.sasl.oauthbearer.token.endpoint.url", "https://issuer/token"),
            (
                "kafka.sasl.jaas.config",
                "x.OAuthBearerLoginModule required clientId=\"a\" clientSecret=\"b\" scope=\"s\" extension_pool=\"p1\";",
            ),
        ])
        .unwrap();
        for (name, value) in [
            ("sasl.mechanisms", "OAUTHBEARER"),
            ("sasl.oauthbearer.method", "oidc"),
            ("sasl.oauthbearer.client.id", "a"),
            ("sasl.oauthbearer.client.secret", "b"),
            ("sasl.oauthbearer.extensions", "pool=p1"),
        ] {
            assert!(has(&out, name, value), "{name}");
        }
    }
}
