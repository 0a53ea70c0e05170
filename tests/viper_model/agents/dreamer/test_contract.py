from viper_model.agents.contract import AgentContract


class TestDreamer(AgentContract):
    agent = "dreamer"
