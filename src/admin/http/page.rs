//! The dashboard: one page, with all that it needs in it. It asks nobody but this listener for anything.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::answer::Problem;

const PAGE: &str = include_str!("dashboard.html");

/// Scripts and styles are those of the page, by their hashes: nothing that a server says becomes either.
pub fn show() -> Result<Response, Problem> {
    let policy = policy(PAGE);
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, policy.as_str()),
    ];
    Ok((headers, PAGE).into_response())
}

fn policy(page: &str) -> String {
    let hash = |tag: &str| {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let inside = page
            .split_once(&open)
            .and_then(|(_, rest)| rest.split_once(&close));
        inside
            .map(|(inside, _)| format!("'sha256-{}'", base64(&digest(inside.as_bytes()))))
            .unwrap_or_default()
    };
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style")
    )
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).to_vec()
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_letters() {
        for (bytes, letters) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), letters);
        }
    }

    #[test]
    fn the_page_needs_nobody_else() {
        assert_eq!(PAGE.matches("<script>").count(), 1);
        assert_eq!(PAGE.matches("<style>").count(), 1);
        for foreign in [
            "http://",
            "https://",
            "@import",
            "url(",
            "<link",
            " src=",
            "innerHTML",
            "insertAdjacent",
            "eval(",
        ] {
            let allowed = [
                "http://www.w3.org/2000/svg",
                "<link rel=\"icon\" href=\"data:,\">",
            ];
            let mut page = PAGE.to_owned();
            for allowed in allowed {
                page = page.replace(allowed, "");
            }
            assert!(!page.contains(foreign), "{foreign}");
        }
        let policy = policy(PAGE);
        assert_eq!(policy.matches("sha256-").count(), 2, "{policy}");
    }
}
