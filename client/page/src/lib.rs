//! Pages of HTML that stand alone: no script, nothing from elsewhere, for the screen, the phone and the printer.
//!
//! What this crate never does: it lets no text become markup, and a page that it begins loads nothing but pictures that
//! the page holds itself, because its content security policy forbids the rest.
#![forbid(unsafe_code)]

/// What all pages share.
const STYLE: &str = include_str!("page.css");

/// A whole page: its title in plain text, its own style after the shared one, and its body in HTML.
#[must_use]
pub fn page(title: &str, style: &str, body: &str) -> String {
    whole(title, style, body, "no-referrer")
}

/// The same for a page with forms: a browser tells the server that they lead to where they come from, and no one else.
#[must_use]
pub fn form_page(title: &str, style: &str, body: &str) -> String {
    whole(title, style, body, "same-origin")
}

fn whole(title: &str, style: &str, body: &str, referrer: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src \
         'unsafe-inline'\">\n<meta name=\"referrer\" content=\"{referrer}\">\n<title>{}</title>\n\
         <style>\n{STYLE}{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        text(title)
    )
}

/// Text between tags and in quoted attributes.
#[must_use]
pub fn text(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for character in plain.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other if is_unseen(other) => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Controls, and marks that turn the direction of text around.
#[must_use]
pub fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let hostile = "<script>alert('1')</script> & \"x\"\u{202e}\n";
        let escaped = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;  ";
        assert_eq!(text(hostile), escaped);
        assert_eq!(text("Größe > 3 µm"), "Größe &gt; 3 µm");
    }

    #[test]
    fn a_page_forbids_everything_from_elsewhere() {
        let page = page("<b>", "p { margin: 0 }\n", "<p>here</p>\n");
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        assert!(page.contains("content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\""));
        assert!(page.contains("<title>&lt;b&gt;</title>"));
        assert!(page.contains("p { margin: 0 }\n</style>") && page.contains("<main>\n<p>here</p>\n</main>"));
        for foreign in ["http:", "https:", "<script", "<link", "url(", "@import"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }
}
