"""The OpenAI Responses wire, stateless: nothing is stored, thinking travels sealed inside the conversation."""
