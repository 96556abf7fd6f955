"""Fields of input that take what they say and nothing that could be read as such."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import Language, User


class TextField(serializers.CharField):
    """Text: a number is a mistake, not a text of digits."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class EmailField(TextField, serializers.EmailField):
    """An e-mail address, in lower case from here on."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=254, **options)

    def to_internal_value(self, data: Any) -> str:
        return User.objects.normalize_email(super().to_internal_value(data))


class PasswordField(TextField):
    """A password, taken as it is: blanks at its ends belong to it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=1000,
            trim_whitespace=False,
            write_only=True,
            style={"input_type": "password"},
            **options,
        )


class TokenField(TextField):
    """A token of ours: text without any meaning to its bearer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=4096, **options)


class LanguageField(serializers.ChoiceField):
    """What the mails to somebody are written in."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Language.choices, help_text="Of the mails to them.", **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid_choice", input=data)
        return super().to_internal_value(data)
