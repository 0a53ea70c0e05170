from viper_model.agents.contract import AgentContract


class TestDrQV2(AgentContract):
    agent = "drqv2"
    bandit_batch_size = 64


class TestDrQV2ThatExplores(TestDrQV2):
    exploration_weight = 0.5
