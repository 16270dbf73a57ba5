"""Choices: what a language model may choose for each agent, and what follows from it.

Importing this package registers them all. A model fills a form of closed lists and of ids that the agent remembers;
amounts, messages and events are made by the same code as those of the rules. What policy does not permit raises
`OutsidePolicy`, and the rules decide. What a model wrote, its rationale, stands in the decision's reason alone.
"""

import agents.platform.incident.choice
import agents.shop.confirmation.choice
import agents.shop.fraud.choice
import agents.shop.fulfilment.choice
import agents.shop.recovery.choice
import agents.shop.root_cause.choice  # noqa: F401
