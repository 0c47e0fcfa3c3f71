"""What a clip is dreamed toward: the policies, and how a user's words find a class.

To add a policy, write it and list it in `augment.targets.policies`.
"""
