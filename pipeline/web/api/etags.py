"""Compare the tags of answers with those that a client has."""


def tags_of(if_none_match: list[str] | None) -> set[str]:
    """Return the tags that If-None-Match headers name, or ``*`` (RFC 9110, 13.1.2, weak).

    Of what is no tag in quotation marks there is none.
    """
    words = [word.strip().removeprefix("W/") for word in ",".join(if_none_match or ()).split(",")]
    quoted = {word[1:-1] for word in words if len(word) > 2 and word[0] == word[-1] == '"'}
    return quoted | ({"*"} & set(words))
