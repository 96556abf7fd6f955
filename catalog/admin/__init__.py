"""The catalogue's desk. Prices have none of their own: they are edited with their item."""

from catalog.admin.items import AddOnAdmin, PlanAdmin, TokenBundleAdmin

__all__ = ["AddOnAdmin", "PlanAdmin", "TokenBundleAdmin"]
