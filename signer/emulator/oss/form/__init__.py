"""PostObject: a form that writes an object, allowed by its signed policy and not by the request's signature."""

from __future__ import annotations

from .post_object import form_target, post

__all__ = ["form_target", "post"]
