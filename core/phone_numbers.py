"""Phone numbers: from what a person typed to the seven fields that are stored.

The rules of the world's numbering plans come from the package `phonenumbers`, which is imported
when the first number is checked: the core works without it.
"""

from __future__ import annotations

from typing import Any

from weftdb.core.errors import SchemaViolation, Unsupported

_NO_REGION = (
    "invalid or missing defaultCountry - this field is optional if the specified number is in the "
    "international format, but required if the number is in national format, use ISO 3166-1 alpha-2"
)


def enrich_phone_number(text: str, default_country: str) -> dict[str, Any]:
    """Return the stored form of a number; `default_country` "" stands for none.

    Raises SchemaViolation if it cannot be read, Unsupported if the package is not installed.
    A number that can be read but does not exist is stored with `valid` false.
    """
    try:
        import phonenumbers
    except ImportError:
        raise Unsupported(
            "phone numbers need the package 'phonenumbers': pip install 'weftdb[server]'"
        ) from None
    region = default_country.upper()
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException as error:
        is_region = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        reason = _NO_REGION if is_region else str(error)
        raise SchemaViolation(f"invalid phone number: {reason}") from None
    formats = phonenumbers.PhoneNumberFormat
    stored: dict[str, Any] = {"input": text}
    if region:
        stored["defaultCountry"] = region
    return stored | {
        "countryCode": number.country_code,
        "national": number.national_number,
        "internationalFormatted": phonenumbers.format_number(number, formats.INTERNATIONAL),
        "nationalFormatted": phonenumbers.format_number(number, formats.NATIONAL),
        "valid": phonenumbers.is_valid_number(number),
    }
